"""The progress of a running sweep as data: counts, rates, the best so far, an estimate of the time left.

Pure: time arrives in the calls. `progress_view` and `panel` show it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.analysis.formatting import as_ms, plural
from sweep.analysis.rows.bounds import Reading, leading
from sweep.report.live.pool_progress import PoolProgress, Rate

__all__ = ["CellBest", "Running", "SweepProgress", "TimeLeft"]

_TRIALS_TO_EXTRAPOLATE = 8
"""The first trials come late, when search has its designs: a rate of fewer would promise hours."""


@dataclass(frozen=True, slots=True)
class CellBest:
    """The fastest cell so far of a model on a device."""

    cell_name: str
    median_s: float
    """Of a disturbed one, which is named only where it is faster all the same, what it takes at most."""
    is_upper: bool = False


@dataclass(slots=True)
class Running:
    """An attempt under way, and what it last reported."""

    label: str
    kind: str
    started_t: float
    pool: str = ""
    """Of a tune stage: name of the pool it tunes in."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What a tuner last said: trials, trials_total, valid, best_estimate_s, ...; or a measurement: median_s, values."""

    @property
    def measured_after(self) -> int | None:
        """Of a tuner: the trials after which its whole network was last built and measured."""
        trials = self.info.get("measured_trials")
        return None if trials is None else int(trials)

    @property
    def so_far(self) -> str:
        """What it has come to before its end; empty where that is nothing."""
        if median_s := self.info.get("median_s"):
            return f"{as_ms(float(median_s) * 1e3)} ms by its first {plural(int(self.info['values']), 'value')}"
        if measured_s := self.info.get("measured_s"):
            trials = plural(self.measured_after or 0, "trial")
            return f"{as_ms(float(measured_s) * 1e3)} ms, built and measured after {trials}"
        if estimate_s := self.info.get("best_estimate_s"):
            trials = plural(int(self.info.get("trials") or 0), "trial")
            return f"about {as_ms(float(estimate_s) * 1e3)} ms, the sum of its tasks after {trials}"
        return ""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """An estimate of the seconds to the end."""

    seconds: float
    is_lower_bound: bool
    """Stages of some kind have yet to show how long they take, and are not counted in it."""


class SweepProgress:
    """Takes events and sums up the progress of the sweep."""

    def __init__(self, now: float) -> None:
        self.started_t = now
        self.total_cells = 0
        self.stages_planned: Mapping[str, int] = {}
        self.cells: Counter[str] = Counter()
        """Settled cells by status."""
        self.cells_earlier = 0
        """Of those, cells that an earlier run had settled."""
        self.stages_done: Counter[str] = Counter()
        self.stages_failed: Counter[str] = Counter()
        self.stage_seconds: defaultdict[str, float] = defaultdict(float)
        self.retries = 0
        self.running: dict[str, Running] = {}
        self.best: dict[str, CellBest] = {}
        """By model and device."""
        self._readings: defaultdict[str, dict[str, Reading]] = defaultdict(dict)
        """Of each cell of a group, by its name."""
        self.pools: dict[str, PoolProgress] = {}
        """Those that tune now, by name."""
        self._rate = Rate(now)

    @property
    def settled(self) -> int:
        """Cells that are done, failed or skipped."""
        return self.cells.total()

    def plan_ready(self, total_cells: int, stages_by_kind: Mapping[str, int]) -> None:
        """The grid is known."""
        self.total_cells, self.stages_planned = total_cells, dict(stages_by_kind)

    def attempt_started(self, label: str, kind: str, now: float, pool: str = "") -> None:
        """An engine works on a stage. `pool`: of a tune stage."""
        if pool:
            self.pools.setdefault(pool, PoolProgress(pool, now)).running.add(label)
        self.running[label] = Running(label, kind, now, pool)

    def stage_done(self, label: str, kind: str, seconds: float) -> None:
        """A stage ended well."""
        self._ended(label)
        self.stages_done[kind] += 1
        self.stage_seconds[kind] += seconds

    def attempt_failed(self, label: str, kind: str, will_retry: bool) -> None:
        """An attempt ended in an error."""
        self._ended(label)
        if will_retry:
            self.retries += 1
        else:
            self.stages_failed[kind] += 1

    def cell_finished(self, cell_name: str, status: str, reading: Reading | None, group: str, is_earlier: bool) -> None:
        """A cell is settled. `group`: model and device, among which a best is kept."""
        self.cells[status] += 1
        self.cells_earlier += is_earlier
        if reading is None or reading.bound is None:
            return
        known = self._readings[group]
        known[cell_name] = reading
        index = leading(list(known.values()))
        if index is not None:
            name = list(known)[index]
            best = known[name]
            ms = best.median_ms if best.is_exact else best.high_ms
            self.best[group] = CellBest(name, ms / 1e3, not best.is_exact)

    def progress(self, info: Mapping[str, Any], now: float) -> None:
        """A tuner speaks: {label, trials, trials_total, valid, best_estimate_s, tasks, tasks_covered, failed, busy}; or
        a measurement: {label, median_s, values}.
        """
        running = self.running.get(str(info.get("label")))
        if running is None:
            return
        if running.pool not in self.pools:
            running.info = dict(info)
            return
        running.info = dict(info)
        self._rate.add(now, self.pools[running.pool].take(running.label, info, now))

    def trials_per_s(self, now: float) -> float:
        """Over the last half minute, all tuners together; 0 where none works."""
        return self._rate.at(now)

    def time_left(self, now: float) -> TimeLeft | None:
        """None before any stage has ended.

        Stages left by kind, each at the mean of its kind so far, divided by how many ran at once so far. A kind has at
        most one stage left for each cell left: what a failed cell will no longer need is not waited for.
        """
        busy_s = sum(self.stage_seconds.values()) + sum(now - attempt.started_t for attempt in self.running.values())
        elapsed_s = now - self.started_t
        if not self.stages_done or elapsed_s <= 0:
            return None
        cells_left = max(0, self.total_cells - self.settled)
        work_s, unknown = 0.0, False
        for kind, planned in self.stages_planned.items():
            left = min(planned - self.stages_done[kind] - self.stages_failed[kind], cells_left)
            mean_s = self._mean_s(kind, now)
            if left > 0 and mean_s is None:
                unknown = True
            elif left > 0 and mean_s is not None:
                under_way = sum(min(mean_s, now - run.started_t) for run in self.running.values() if run.kind == kind)
                work_s += max(0.0, left * mean_s - under_way)
        return TimeLeft(work_s / max(1.0, busy_s / elapsed_s), unknown)

    def _mean_s(self, kind: str, now: float) -> float | None:
        if self.stages_done[kind]:
            return self.stage_seconds[kind] / self.stages_done[kind]
        # None of the kind has ended: tuners that say how many trials there will be are extrapolated, together, as far
        # as their hours allow.
        runs = [run for run in self.running.values() if run.kind == kind and run.info.get("trials_total")]
        trials = sum(int(run.info.get("trials") or 0) for run in runs)
        if trials < _TRIALS_TO_EXTRAPOLATE:
            return None
        elapsed_s = max(now - run.started_t for run in runs)
        by_trials_s = elapsed_s * sum(int(run.info["trials_total"]) for run in runs) / trials
        left = [run.info.get("seconds_left") for run in runs]
        by_time_s = math.inf if None in left else elapsed_s + max(float(each or 0.0) for each in left)
        return min(by_trials_s, by_time_s)

    def _ended(self, label: str) -> None:
        """A pool is there for as long as one of its stages runs."""
        running = self.running.pop(label, None)
        pool = self.pools.get(running.pool) if running is not None else None
        if pool is not None:
            pool.running.discard(label)
            if not pool.running:
                del self.pools[pool.name]
