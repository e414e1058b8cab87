"""What of a cell goes to MLflow, as plain values: params, metrics, tags, and a hash of the lot. Imports no mlflow.

Params are the axes and nothing else, so that MLflow's compare view has the axes as its columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sweep.analysis.left_out_passes import left_out_passes
from sweep.analysis.outcome import MEASURED, CellOutcome
from sweep.analysis.rows.column import CellFacts
from sweep.analysis.rows.columns import metric_columns
from sweep.analysis.rows.training_rows import training_of
from sweep.analysis.rows.tuning_rows import tuning_curve
from sweep.plain_text import as_markdown, visible
from sweep.planning.results.condition_numbers import number_in
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.training_result import TrainResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.study.axes import further_axes

__all__ = [
    "CONTENT_TAG",
    "DERIVED_METRICS",
    "STATUS",
    "Point",
    "cell_tags",
    "content_hash",
    "metric_name",
    "metrics",
    "params",
    "span",
]

STATUS = {"done": "FINISHED", "tainted": "FINISHED", "failed": "FAILED", "skipped": "KILLED"}
"""MLflow's word for a settled cell."""
CONTENT_TAG = "sweep.content"
"""Hash of what a run mirrors: the same content is not written twice."""
DERIVED_METRICS = tuple(column.metric for column in metric_columns() if column.value is None)
"""Take other cells to know: what is known of them as a run is written is in it, the rest is added at the end."""
_TEXT_LIMIT = 4000
_FORMAT = 8
"""Raise when what is written of a cell changes, and resumed sweeps write their runs anew."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric."""

    name: str
    value: float
    t_ms: int
    """Unix milliseconds."""
    step: int = 0


def content_hash(outcome: CellOutcome) -> str:
    """Of all that is recorded of a cell."""
    text = json.dumps([_FORMAT, outcome.to_json()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def span(outcome: CellOutcome, now: float) -> tuple[int, int]:
    """Start and end of a cell in Unix milliseconds: it ends at its measurement and lasted as long as its stages."""
    measured = outcome.result(Measurement) or Measurement()
    ended = number_in(measured.conditions, "at_after") or now
    return round((ended - sum(outcome.stage_seconds.values())) * 1e3), round(ended * 1e3)


def params(outcome: CellOutcome, varied: Collection[str] = ()) -> dict[str, str]:
    """The axes, as text; `-` where one does not apply, since a missing value drops the run from a parallel plot.

    A further axis at its default is left out, unless it is among `varied`: those that cells of the sweep differ in.
    """
    usual = {axis.name: axis.default for axis in further_axes() if axis.name not in varied}
    told = {axis: value for axis, value in outcome.axes.items() if axis not in usual or value != usual[axis]}
    return {axis: "-" if value is None else str(value) for axis, value in told.items()}


def cell_tags(outcome: CellOutcome, sweep_dir: str) -> dict[str, str]:
    """Who the run is, and why it ended as it did."""
    tags = {
        **outcome.tags,
        "sweep.cell_id": outcome.cell.id,
        "sweep.cell": outcome.cell.name,
        "sweep.status": outcome.status,
        "sweep.device": outcome.cell.device,
        "sweep.dir": sweep_dir,
        CONTENT_TAG: content_hash(outcome),
    }
    facts = CellFacts.of(outcome)
    if outcome.status == "tainted" or facts.unchecked:  # its latency is a bound, or cannot be read
        tags["sweep.latency_bound"] = facts.bound or "none"
    if facts.output_check is not None:
        tags["sweep.output_check"] = facts.output_check
    if facts.unchecked:
        tags["sweep.output_check_reason"] = facts.unchecked[:_TEXT_LIMIT]
        reason = as_markdown(facts.unchecked[:_TEXT_LIMIT])
        tags["mlflow.note.content"] = f"**outputs compared with nothing**\n\n{reason}"
    if left_out := left_out_passes(outcome):
        tags["sweep.passes_left_out"] = left_out[:_TEXT_LIMIT]
    if outcome.error or outcome.error_class:
        reason = (outcome.error or "")[:_TEXT_LIMIT]
        where = f"{outcome.status} in {outcome.failed_stage}" if outcome.failed_stage else outcome.status
        tags |= {"sweep.error_class": outcome.error_class or "", "sweep.error": reason}
        said = (as_markdown(text) for text in (where, outcome.error_class or "", reason))
        tags["mlflow.note.content"] = "**{}** {}\n\n{}".format(*said)
    return {name: visible(tag) for name, tag in tags.items()}


def metrics(outcome: CellOutcome, now: float) -> list[Point]:
    """Numbers of a cell: summaries, each repeat as a step, the tuning curve against trials and against time, and how
    its network learned against steps.
    """
    start_ms, end_ms = span(outcome, now)
    points = [Point(name, float(value), end_ms) for name, value in _numbers(outcome) if value is not None]
    measured = outcome.result(Measurement)
    if measured is not None and outcome.status in MEASURED:
        points += _repeats("repeats/latency_ms", measured.run_secs, measured.number or 1, end_ms)
        points += _repeats("repeats/warmup_latency_ms", measured.warmup_secs, 1, end_ms)
    points += _curve(outcome.result(TuneResult) or TuneResult(), start_ms)
    if (trained := training_of(outcome)) is not None:
        points += _training(trained, start_ms)
    return points


def _training(trained: TrainResult, start_ms: int) -> Iterator[Point]:
    for step, *values in trained.curve:
        for name, value in zip(("loss", "accuracy", "sparsity"), values, strict=True):
            yield Point(f"training/{name}", float(value), start_ms + int(step), int(step))


def _numbers(outcome: CellOutcome) -> Iterator[tuple[str, float | None]]:
    # The UI plots the first names in the alphabet first, and makes a section of what has the same word before a slash:
    # the names that answer a study have no slash, and `latency...` comes before every section.
    facts = CellFacts.of(outcome)
    return (
        (column.metric, column.of(facts)) for column in metric_columns() if facts.is_tuned or not column.is_of_tuning
    )


def _repeats(name: str, run_secs: Sequence[float], number: int, start_ms: int) -> list[Point]:
    ends = accumulate(seconds * number * 1e3 for seconds in run_secs)
    pairs = zip(run_secs, ends, strict=True)
    return [Point(name, seconds * 1e3, start_ms + round(end), step) for step, (seconds, end) in enumerate(pairs)]


def _curve(tune: TuneResult, start_ms: int) -> Iterator[Point]:
    """The same curve twice: its step the trial of the pool, and its step the milliseconds of tuning.

    A staircase: the UI joins points by straight lines, so each fall has a point just before it.
    """
    before: tuple[int, int, float] | None = None
    for trial, seconds, best_s in tuning_curve(tune):
        at_ms, best_ms = round(seconds * 1e3), best_s * 1e3
        if before is not None and best_ms != before[2]:
            if trial - 1 > before[0]:
                yield Point("tuning/best_ms", before[2], start_ms + at_ms, trial - 1)
            if at_ms - 1 > before[1]:
                yield Point("tuning/best_ms_over_time", before[2], start_ms + at_ms - 1, at_ms - 1)
        if before is None or trial > before[0]:
            yield Point("tuning/best_ms", best_ms, start_ms + at_ms, trial)
        if before is None or at_ms > before[1]:
            yield Point("tuning/best_ms_over_time", best_ms, start_ms + at_ms, at_ms)
        before = (trial, at_ms, best_ms)


def metric_name(text: str) -> str:
    """With the characters that MLflow takes in the name of a metric."""
    return "".join(character if character.isalnum() or character in "_-. :" else "_" for character in text)


def as_text(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags with every value as text short enough for MLflow."""
    return {key: str(value)[:_TEXT_LIMIT] for key, value in tags.items()}
