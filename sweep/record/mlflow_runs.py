"""A cell as the MLflow run that mirrors it, as plain values. Imports no mlflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.record import mlflow_rows as rows
from sweep.record.mlflow_rows import Point

__all__ = ["ModelFile", "RunDraft", "draft_of"]

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

    cell_id: str
    name: str
    start_ms: int
    end_ms: int
    status: str
    """MLflow's word."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]
    model: ModelFile | None
    artifact: Mapping[str, Any]
    """Kept as `cell.json`."""

    @property
    def content(self) -> str:
        """Hash of the cell."""
        return self.tags[rows.CONTENT_TAG]


def draft_of(outcome: CellOutcome, model: ModelFile | None, sweep_dir: str, settled_t: float) -> RunDraft:
    """The run of a settled cell. settled_t: Unix seconds of its last event, for a cell that has no measurement.

    Raises ValueError for a pending cell.
    """
    if outcome.status not in rows.STATUS:
        raise ValueError(f"{outcome.cell.name} is {outcome.status}: only a settled cell is mirrored")
    start_ms, end_ms = rows.span(outcome, settled_t)
    return RunDraft(
        cell_id=outcome.cell.id,
        name=outcome.cell.name,
        start_ms=start_ms,
        end_ms=end_ms,
        status=rows.STATUS[outcome.status],
        tags=rows.cell_tags(outcome, sweep_dir),
        params=rows.params(outcome),
        points=list(dict.fromkeys(rows.metrics(outcome, settled_t))),
        model=model,
        artifact=_as_artifact(outcome),
    )


def _as_artifact(outcome: CellOutcome) -> dict[str, Any]:
    """The whole of a cell, but for its tuning curve, which is among the metrics."""
    told = asdict(outcome)
    told["stages"] = {
        kind: {key: value for key, value in result.items() if key != "curve"} for kind, result in told["stages"].items()
    }
    return told
