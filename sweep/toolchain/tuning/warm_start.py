"""Warm start: what other sweeps have measured, for a search to begin with.

A source is a records folder of a sweep, or any native MetaSchedule database. The best schedules of the same workload
are measured first, here and anew: a time is never taken over from another device. All of a source's measurements of the
workload teach the cost model, at a level of their own.
"""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.tuning import trials_to_near
from sweep.search.tuner import Observation
from sweep.toolchain.tuning.records import read_trials
from sweep.toolchain.workload_id import workload_id

if TYPE_CHECKING:
    from sweep.search.space import Point
    from sweep.toolchain.tuning.search import WorkloadSearch

__all__ = ["WarmStart"]

_SEEDS = 3  # schedules of a source that are measured first
_ALL_SEEDS = 6
_FAILED_S = 1e9  # MetaSchedule writes a failed candidate as 1e10 s
_WORKLOADS, _RECORDS = "database_workload.json", "database_tuning_record.json"


@dataclass(slots=True)
class _Known:
    """What one source knows of one workload."""

    trials: list[tuple[int, Sequence[Any], float | None]] = field(default_factory=list)
    """(design, decisions, median in seconds or None)"""
    traces: list[tuple[Any, float]] = field(default_factory=list)
    """(native trace as JSON, median in seconds), for sources without trials."""

    @property
    def medians_s(self) -> list[float | None]:
        """In the order in which they were measured; a native database leaves out those that failed."""
        return [median_s for _, _, median_s in self.trials] + [seconds for _, seconds in self.traces]


class WarmStart:
    """Several sources, the nearest relative first."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._sources = [_read(folder) for folder in folders]
        self.trials_to_near: dict[str, int] = {}
        """By workload: what the nearest source that knows it had to measure until it was near its best."""

    def apply(self, search: WorkloadSearch) -> None:
        """Seed one search with the best of each source that knows its workload, nearest first; teach it the rest."""
        seeds: list[Point] = []
        for source in self._sources:
            known = source.get(search.workload)
            if known is None:
                continue
            observations = list(self._observations(search, known))
            search.learn(observations)
            needed = trials_to_near(known.medians_s)
            if needed is not None:
                self.trials_to_near.setdefault(search.workload, needed)
            valid = sorted((o for o in observations if o.seconds is not None), key=lambda o: o.seconds or 0.0)
            seeds += [o.point for o in valid[:_SEEDS]]
        search.seed(list(dict.fromkeys(seeds))[:_ALL_SEEDS], "warm start")

    @staticmethod
    def _observations(search: WorkloadSearch, known: _Known) -> Iterator[Observation]:
        for design, decisions, median_s in known.trials:
            point = search.point_of(design, decisions)
            if point is not None:
                yield Observation(point, median_s)
        for trace, seconds in known.traces:
            point = search.point_of_json(trace)
            if point is not None:
                yield Observation(point, seconds)


def _read(folder: Path) -> dict[str, _Known]:
    """What can be read of a source: it may be torn, or be of another version."""
    found: dict[str, _Known] = {}
    with suppress(OSError, ValueError, TypeError):
        for trial in read_trials(folder):
            if trial.design is not None and trial.decisions is not None:
                known = found.setdefault(trial.workload, _Known())
                known.trials.append((trial.design, trial.decisions, trial.median_s))
    if found:
        return found
    with suppress(OSError, ValueError, TypeError, RuntimeError):
        for workload, trace, seconds in _native(folder):
            found.setdefault(workload, _Known()).traces.append((trace, seconds))
    return found


def _native(folder: Path) -> Iterator[tuple[str, Any, float]]:
    """(workload, trace, median in seconds) of the valid records of a MetaSchedule database; torn lines are left out."""
    native_workload = importlib.import_module("tvm.s_tir.meta_schedule.database").Workload
    workloads = [workload_id(native_workload.from_json(line).mod) for line in _whole_lines(folder / _WORKLOADS)]
    for line in _whole_lines(folder / _RECORDS):
        index, (trace, run_secs, *_rest) = line
        seconds = [float(value) for value in run_secs or ()]
        if seconds and all(0 < value < _FAILED_S for value in seconds) and 0 <= index < len(workloads):
            yield workloads[index], trace, statistics.median(seconds)


def _whole_lines(path: Path) -> Iterator[Any]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return
