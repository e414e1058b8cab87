"""What a run of a tuner measured, and when: counted, cut at a moment, and as the best so far. No clock, no TVM."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Task", "Trial", "best_so_far", "best_times", "cut_database", "per_minute", "read_lines", "valid_until"]

_WORKLOADS, _RECORDS = "database_workload.json", "database_tuning_record.json"
_VALIDATIONS = "validations.jsonl"


@dataclass(frozen=True, slots=True)
class Task:
    """A tensor program of the model that is tuned."""

    workload: str
    name: str
    weight: int
    """Times it occurs in the model."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate whose measurement ended, well or not."""

    workload: str
    t: float
    """Unix seconds at which it ended."""
    run_secs: Sequence[float] | None
    """None: it failed."""

    @property
    def median_s(self) -> float | None:
        """Median of its repeats; None for a failure."""
        return statistics.median(self.run_secs) if self.run_secs else None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; a torn last line is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def valid_until(trials: Sequence[Trial], t: float) -> int:
    """How many candidates had been measured well at a moment."""
    return sum(trial.run_secs is not None and trial.t <= t for trial in trials)


def per_minute(trials: Sequence[Trial], began_t: float, ended_t: float) -> float:
    """Valid candidates a minute between two moments."""
    return 60.0 * (valid_until(trials, ended_t) - valid_until(trials, began_t)) / (ended_t - began_t)


def best_times(trials: Sequence[Trial]) -> dict[str, float]:
    """Least median of each workload that has a valid trial, in seconds."""
    best: dict[str, float] = {}
    for trial in trials:
        median_s = trial.median_s
        if median_s is not None:
            best[trial.workload] = min(median_s, best.get(trial.workload, math.inf))
    return best


def best_so_far(
    trials: Sequence[Trial], tasks: Sequence[Task], untuned_s: Mapping[str, float], began_t: float
) -> list[tuple[float, float]]:
    """(seconds since `began_t`, estimate in seconds) at the start and wherever the estimate falls.

    The estimate is the sum over tasks of weight times best median; a task with no valid trial yet counts with its
    untuned time. A task that got slower by tuning keeps its best trial, as it would when built.
    """
    best = {task.workload: untuned_s[task.workload] for task in tasks}
    tuned: set[str] = set()
    weights = {task.workload: task.weight for task in tasks}
    estimate = sum(weights[workload] * best[workload] for workload in best)
    steps = [(0.0, estimate)]
    for trial in sorted(trials, key=lambda trial: trial.t):
        median_s = trial.median_s
        if median_s is None or trial.workload not in best:
            continue
        if trial.workload not in tuned or median_s < best[trial.workload]:
            estimate += weights[trial.workload] * (median_s - best[trial.workload])
            best[trial.workload] = median_s
            tuned.add(trial.workload)
            steps.append((trial.t - began_t, estimate))
    return steps


def cut_database(source: Path, out: Path, records: int, t: float) -> None:
    """Copy a native database as it was at a moment, with its first `records` tuning records: it is only appended to.

    What a sweep has measured again by then goes with it. Raises ValueError when there are fewer records.
    """
    out.mkdir(parents=True, exist_ok=True)
    lines = _whole_lines(source / _RECORDS)
    if len(lines) < records:
        raise ValueError(f"{source} has {len(lines)} records where the log has {records}")
    again = [line for line in _whole_lines(source / _VALIDATIONS) if json.loads(line)["t"] <= t]
    (out / _RECORDS).write_text("".join(lines[:records]), encoding="utf-8")
    (out / _WORKLOADS).write_text("".join(_whole_lines(source / _WORKLOADS)), encoding="utf-8")
    (out / _VALIDATIONS).write_text("".join(again), encoding="utf-8")


def _whole_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
