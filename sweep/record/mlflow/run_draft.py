"""A cell as the MLflow run that mirrors it, as plain values. Imports no mlflow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.column import CellFacts
from sweep.analysis.rows.ratios import Ratios
from sweep.record.mlflow import run_values as rows
from sweep.record.mlflow.run_values import Point
from sweep.study.spec import Cell

__all__ = ["ModelFile", "RunDraft", "draft_of", "run_name"]

_DIGEST_LENGTH = 32
"""MLflow keeps 36 characters of a digest."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The network of a cell; MLflow's word is dataset."""

    name: str
    source: str
    """As the study has it: `onnx-light:squeezenet`, or a path."""
    digest: str
    """Of the file."""

    @classmethod
    def of(cls, name: str, model: Mapping[str, str]) -> ModelFile:
        """From an entry of plan.json."""
        return cls(name, model["source"], model["sha256"][:_DIGEST_LENGTH])


@dataclass(frozen=True, slots=True)
class RunDraft:
    """A run to be written, whole."""

    cell: Cell
    name: str
    start_ms: int
    end_ms: int
    status: str
    """MLflow's word."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]
    model: ModelFile | None
    reading: Reading
    """Its latency as others are compared with it."""
    precision: str | None
    """That it computes in, which its runtime may have chosen."""
    artifact: Mapping[str, Any]
    """Kept as `cell.json`."""

    @property
    def cell_id(self) -> str:
        """Of the cell."""
        return self.cell.id

    @property
    def ratios(self) -> dict[str, float]:
        """Those that are known, by name."""
        return {point.name: point.value for point in self.points if point.name in rows.DERIVED_METRICS}

    def with_ratios(self, known: Ratios) -> RunDraft:
        """The same with what is known of its ratios to other cells, at its end."""
        columns = known.of(self.cell, self.reading, self.precision)
        ratios = {name: value for name, value in columns.items() if name in rows.DERIVED_METRICS}
        points = [Point(name, value, self.end_ms) for name, value in ratios.items()]
        return replace(self, points=[*self.points, *points])

    @property
    def content(self) -> str:
        """Hash of the cell."""
        return self.tags[rows.CONTENT_TAG]


def draft_of(
    outcome: CellOutcome, model: ModelFile | None, sweep_dir: str, settled_t: float, varied: Collection[str] = ()
) -> RunDraft:
    """The run of a settled cell. settled_t: Unix seconds of its last event, for a cell that has no measurement.
    varied: further axes that cells of the sweep differ in.

    Raises ValueError for a pending cell.
    """
    if outcome.status not in rows.STATUS:
        raise ValueError(f"{outcome.cell.name} is {outcome.status}: only a settled cell is mirrored")
    start_ms, end_ms = rows.span(outcome, settled_t)
    return RunDraft(
        cell=outcome.cell,
        name=run_name(outcome.cell),
        start_ms=start_ms,
        end_ms=end_ms,
        status=rows.STATUS[outcome.status],
        tags=rows.cell_tags(outcome, sweep_dir),
        params=rows.params(outcome, varied),
        points=list(dict.fromkeys(rows.metrics(outcome, settled_t))),
        model=model,
        reading=CellFacts.of(outcome).reading,
        precision=outcome.axes["precision"],
        artifact=_as_artifact(outcome),
    )


def run_name(cell: Cell) -> str:
    """Of a cell's run: MLflow's lists show some 18 characters, so what is chosen between comes first."""
    tuner = "untuned" if cell.tuner == "none" else cell.tuner
    chosen = [tuner, f"O{cell.opt_level}"] if cell.is_compiled else [cell.runtime]
    target = [cell.target] if cell.is_compiled else []
    return " ".join([*chosen, cell.model, *reversed(cell.labels), cell.device, *target])


def _as_artifact(outcome: CellOutcome) -> dict[str, Any]:
    """The whole of a cell, but for its tuning curve, which is among the metrics."""
    payload = outcome.to_json()
    for result in payload["stages"].values():
        result.pop("curve", None)
    return payload
