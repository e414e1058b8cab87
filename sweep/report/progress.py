"""Where a running sweep stands, as data: counts, rates, the best so far, an estimate of the time left.

Pure: time arrives in the calls. What it looks like is the business of `live`.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CellBest", "Running", "SweepProgress", "TimeLeft"]

_RATE_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class CellBest:
    """The fastest cell so far of a model on a device."""

    cell_name: str
    median_s: float


@dataclass(slots=True)
class Running:
    """An attempt under way."""

    label: str
    kind: str
    started_t: float
    info: Mapping[str, Any] = field(default_factory=dict)
    """What a tuner last said: trials, trials_total, valid, best_estimate_s, task."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """An estimate of the seconds to the end."""

    seconds: float
    is_lower_bound: bool
    """Stages of some kind have yet to show how long they take, and are not counted in it."""


class SweepProgress:
    """Takes what happens and says where the sweep stands."""

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
        self._trials: deque[tuple[float, int]] = deque()

    @property
    def settled(self) -> int:
        """Cells that are done, failed or skipped."""
        return self.cells.total()

    def plan_ready(self, total_cells: int, stages_by_kind: Mapping[str, int]) -> None:
        """The grid is known."""
        self.total_cells, self.stages_planned = total_cells, dict(stages_by_kind)

    def attempt_started(self, label: str, kind: str, now: float) -> None:
        """An engine works on a stage."""
        self.running[label] = Running(label, kind, now)

    def stage_done(self, label: str, kind: str, seconds: float) -> None:
        """A stage ended well."""
        self.running.pop(label, None)
        self.stages_done[kind] += 1
        self.stage_seconds[kind] += seconds

    def attempt_failed(self, label: str, kind: str, will_retry: bool) -> None:
        """An attempt ended in an error."""
        self.running.pop(label, None)
        if will_retry:
            self.retries += 1
        else:
            self.stages_failed[kind] += 1

    def cell_finished(self, cell_name: str, status: str, median_s: float | None, group: str, is_earlier: bool) -> None:
        """A cell is settled. `group`: model and device, among which a best is kept."""
        self.cells[status] += 1
        self.cells_earlier += is_earlier
        if median_s is not None and (group not in self.best or median_s < self.best[group].median_s):
            self.best[group] = CellBest(cell_name, median_s)

    def progress(self, info: Mapping[str, Any], now: float) -> None:
        """A tuner speaks: {label, trials, valid, best_estimate_s, task, ...}."""
        running = self.running.get(str(info.get("label")))
        if running is None:
            return
        gained = int(info.get("trials") or 0) - int(running.info.get("trials") or 0)
        running.info = dict(info)
        if gained > 0:
            self._trials.append((now, gained))

    def trials_per_s(self, now: float) -> float:
        """Over the last half minute, all tuners together; 0 where none works."""
        while self._trials and self._trials[0][0] < now - _RATE_WINDOW_S:
            self._trials.popleft()
        span = min(_RATE_WINDOW_S, now - self.started_t)
        return sum(gained for _, gained in self._trials) / span if span > 0 else 0.0

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
        # None of the kind has ended: a tuner that says how many trials there will be is extrapolated.
        for run in self.running.values():
            trials, total = run.info.get("trials"), run.info.get("trials_total")
            if run.kind == kind and trials and total:
                return (now - run.started_t) * float(total) / float(trials)
        return None
