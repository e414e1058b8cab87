"""Warm start: a search begins with what other sweeps have measured.

A source is a records folder of a sweep, or any native MetaSchedule database. The best schedules of the same workload
are measured first, here and anew: a time is never taken over from another device. All of a source's measurements of the
workload teach the cost model, at a level of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.rows.tuning_rows import trials_to_near
from sweep.search.strategy import Observation
from sweep.toolchain.native_log import read_log
from sweep.toolchain.tuning.records.trial_logs import read_trials
from sweep.toolchain.workload_id import native_workload_id

if TYPE_CHECKING:
    from sweep.search.space import Point
    from sweep.toolchain.tuning.space.workload_search import WorkloadSearch

__all__ = ["WarmStart"]

_SEEDS = 3  # schedules of a source that are measured first
_ALL_SEEDS = 6


@dataclass(slots=True)
class _Known:
    """One source's schedules and times of one workload."""

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
            if trial.design is not None and trial.decisions is not None and not trial.is_lost:
                known = found.setdefault(trial.workload, _Known())
                known.trials.append((trial.design, trial.decisions, trial.median_s))
    if found:
        return found
    with suppress(OSError):
        for workload, trace, seconds in _native(folder):
            found.setdefault(workload, _Known()).traces.append((trace, seconds))
    return found


def _native(folder: Path) -> Iterator[tuple[str, Any, float]]:
    """(workload, trace, median in seconds) of the valid records of a MetaSchedule database."""
    names: dict[str, str | None] = {}
    for _, record in read_log(folder):
        if record.workload not in names:
            names[record.workload] = native_workload_id(record.workload)
        name, seconds = names[record.workload], record.median_s
        if name is not None and seconds is not None:
            yield name, record.trace, seconds
