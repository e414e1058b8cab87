"""From what came of a sweep to rows that people read: one a cell, one a repeat, one a task.

Pure: the same outcome always gives the same rows, which is why tables, MLflow and reports cannot disagree.
Latencies leave here in milliseconds, everything else in the unit its name ends with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sweep.analysis.adjusted import adjusted
from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rooflines.of_sweep import roofline_rows
from sweep.analysis.rows.advice_rows import advice_rows
from sweep.analysis.rows.column import CellFacts
from sweep.analysis.rows.columns import result_row
from sweep.analysis.rows.duels import FINAL, overtaken, took_part
from sweep.analysis.rows.layer_rows import layer_rows
from sweep.analysis.rows.measurements import final_rows, measurement_rows, pair_rows
from sweep.analysis.rows.quality_reference import QualityReferences
from sweep.analysis.rows.ratios import Ratios
from sweep.analysis.rows.runtime_rows import GroupKey, group_key
from sweep.analysis.rows.status_columns import FINAL_COLUMNS
from sweep.analysis.rows.training_rows import trainings
from sweep.analysis.rows.tuning_rows import curve_rows, pools, task_rows
from sweep.files.typed_json import parsed, read_as
from sweep.redaction import redacted, without_login

__all__ = ["NO_TUNER", "Results", "SweepSummary", "derive"]

NO_TUNER = "none"
"""Usual label of the tuner that does not tune."""

Row = dict[str, Any]
_TIMES_IN_FINAL = ("final_ms_median", "final_ms_ci_high")


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """The facts that hold for the sweep as a whole: study, question, times, versions, notes."""

    study: str
    question: str
    started_t: float
    ended_t: float
    interrupted: bool
    stage_counts: Mapping[str, Mapping[str, int]]
    stage_seconds: Mapping[str, float]
    """Seconds spent by kind, a shared stage counted once (unlike the cells' own, which count it in each)."""
    conditions: Mapping[str, Any]
    tuning: Sequence[Mapping[str, Any]] = ()
    """A row for each pool: trials, failures, seconds, how busy its parts were (`sweep.analysis.rows.tuning_rows`)."""
    mlflow_url: str = ""
    """Of the tracking server that mirrors it; empty where that is no server, which `sweep ui` then starts."""
    worked_s: float | None = None
    """Of all runs together, without the pauses between them. None in tables of earlier versions."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """A person's own, of the study."""
    training: Sequence[Mapping[str, Any]] = ()
    """One for each network that was trained, with its curve (`sweep.analysis.rows.training_rows`)."""
    advice: Sequence[Mapping[str, Any]] = ()
    """A row for each cell whose layers were judged by what they cost (`sweep.analysis.rows.advice_rows`)."""
    rooflines: Sequence[Mapping[str, Any]] = ()
    """A row for each cell whose layers were timed (`sweep.analysis.rooflines`)."""

    @property
    def took_s(self) -> float:
        """How long the sweep took, as well as it is known."""
        return self.ended_t - self.started_t if self.worked_s is None else self.worked_s

    def to_json(self) -> str:
        """As text that `from_json` reads back equal."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> SweepSummary:
        """Inverse of `to_json`. Raises WrongContent for what another version, or a damage, has made of it."""
        return read_as(cls, parsed(text))


@dataclass(frozen=True, slots=True)
class Results:
    """All that tables and reports show of one sweep."""

    summary: SweepSummary
    cells: Sequence[Row]
    """One a cell, in the order of the plan; keys as the columns of results.parquet."""
    measurements: Sequence[Row] = field(default_factory=tuple)
    """One a repeat, warm-ups and blocks that were set aside included."""
    curves: Sequence[Row] = field(default_factory=tuple)
    """One a point of a tuning curve: best latency estimate so far, against trials and seconds."""
    tasks: Sequence[Row] = field(default_factory=tuple)
    """One a tuning task of a tuned cell."""
    layers: Sequence[Row] = field(default_factory=tuple)
    """One a layer of each network and precision that layers were compared of."""


def derive(
    outcome: SweepOutcome, mlflow_run_ids: Mapping[str, str] | None = None, tracking_uri: str | None = None
) -> Results:
    """Rows of a sweep. `mlflow_run_ids`: run of a cell by its id, where there is a mirror; `tracking_uri`: of that."""
    run_ids = mlflow_run_ids or {}
    references = QualityReferences(outcome.cells, outcome.originals)
    facts = [_facts(outcome, cell, run_ids, references) for cell in outcome.cells]
    cells = [result_row(each) for each in facts]
    _set_ratios(cells, facts, Ratios(outcome.baseline, outcome.baselines))
    _drop_overtaken_finals(cells)
    _set_adjusted(cells, outcome)
    return Results(
        summary=SweepSummary(
            study=outcome.study,
            question=outcome.question,
            started_t=outcome.started_t,
            ended_t=outcome.ended_t,
            worked_s=outcome.worked_s,
            interrupted=outcome.interrupted,
            stage_counts={kind: dict(counts) for kind, counts in outcome.stage_counts.items()},
            stage_seconds=dict(outcome.stage_seconds),
            conditions=_shown(outcome.conditions),
            tuning=pools(outcome.cells),
            mlflow_url=_address(tracking_uri or ""),
            tags=dict(outcome.tags),
            training=trainings(outcome.cells),
            advice=advice_rows(outcome.cells, cells),
            rooflines=roofline_rows(outcome, cells) if outcome.rooflines else [],
        ),
        cells=cells,
        measurements=[
            row
            for cell in outcome.cells
            for row in (
                *measurement_rows(cell),
                *final_rows(cell, outcome.finals),
                *pair_rows(cell, outcome.pairs),
            )
        ],
        curves=[row for cell in outcome.cells for row in curve_rows(cell)],
        tasks=[row for cell in outcome.cells for row in task_rows(cell)],
        layers=layer_rows(outcome.cells),
    )


def _address(tracking_uri: str) -> str:
    """Address of a tracking server, without the login that it may hold; empty for other stores."""
    is_server = tracking_uri.startswith(("http://", "https://"))
    return without_login(tracking_uri).rstrip("/") if is_server else ""


def _shown(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys that earlier versions left in the command."""
    return {name: redacted(value) if isinstance(value, str) else value for name, value in conditions.items()}


def _facts(
    sweep: SweepOutcome, outcome: CellOutcome, run_ids: Mapping[str, str], references: QualityReferences
) -> CellFacts:
    run_id = run_ids.get(outcome.cell.id)
    baseline = sweep.baselines.get(outcome.cell.model, sweep.baseline)
    return CellFacts.of(
        outcome,
        study=sweep.study,
        baseline=baseline,
        objective=sweep.objective,
        mlflow_run_id=run_id,
        quality_reference=references.of(outcome),
    )


def _drop_overtaken_finals(rows: Sequence[Row]) -> None:
    """A final that something outside of it has overtaken says no more how its cells stand; their times in it remain."""
    groups: dict[GroupKey, list[Row]] = {}
    for row in rows:
        if row["latency_ms_median"] is not None:
            groups.setdefault(group_key(row), []).append(row)
    for group in groups.values():
        dropped = overtaken(group) if any(map(took_part, group)) else set()
        for row in group:
            if row[FINAL] in dropped:
                row.update({column.name: None for column in FINAL_COLUMNS if column.name not in _TIMES_IN_FINAL})


def _set_adjusted(rows: Sequence[Row], outcome: SweepOutcome) -> None:
    estimates = adjusted(outcome.cells)
    for row in rows:
        estimate = estimates.get(row["cell_id"])
        if estimate is not None and row["latency_ms_median"] is not None:
            ends = {"": estimate.latency_s, "_ci_low": estimate.ci_low_s, "_ci_high": estimate.ci_high_s}
            row.update({f"latency_ms_adjusted{part}": end and end * 1e3 for part, end in ends.items()})


def _set_ratios(rows: Sequence[Row], facts: Sequence[CellFacts], ratios: Ratios) -> None:
    """Fill the columns that take other cells to know."""
    for each in facts:
        ratios.note(each.outcome, each.reading)
    for row, each in zip(rows, facts, strict=True):
        row.update(ratios.of(each.outcome.cell, each.reading, each.outcome.axes["precision"]))
