"""The limits of a pool: trials and hours of its tuner, which all its members share."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from sweep.planning.trial_limits import RELATIVE_TRIALS
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.records.record_store import WorkloadHistory

__all__ = ["TuningBudget"]

_NO_LIMIT = 10**9


class TuningBudget:
    """Counts and times a pool from the moment its first member joins."""

    def __init__(self, job: TuneJob) -> None:
        """`job`: of the first member; all have its options."""
        options = job.options
        self.round_size = int(options.get("round") or 16)
        self._per_task: int | None = options.get("trials_per_task")
        self._total: int | None = options.get("trials_total")
        self._hours: float | None = options.get("hours")
        self._patience: int | None = options.get("early_stopping")
        self._members = max(1, job.members)
        self._joined = 0
        self._begun = time.monotonic()
        self._run_ends: float | None = None if job.limit_s is None else self._begun + job.limit_s

    def join(self, limit_s: float | None = None) -> None:
        """One more member has come, with its share of the total. `limit_s`: what its run leaves to it from now on."""
        self._joined += 1
        if limit_s is None or self._run_ends is None:
            self._run_ends = None
        else:
            self._run_ends = max(self._run_ends, time.monotonic() + limit_s)

    def limit_of(self, task: TuningTask) -> int:
        """Trials that a task may have."""
        if task.trivial:
            return 1
        return _NO_LIMIT if self._per_task is None else int(self._per_task)

    def led_limit_of(self, task: TuningTask) -> int:
        """The cap of a task whose family leader is tuned with the full number.

        Few where a limit for each task is all that there is. Where time or a total ends the search, the leader may
        never be done, and a task of its own kind of slowness is to have what it is worth.
        """
        if self._per_task is None or self._total is not None or self.is_timed:
            return self.limit_of(task)
        return min(self.limit_of(task), RELATIVE_TRIALS)

    def first_round_of(self, task: TuningTask) -> int:
        """Trials with which a task begins."""
        return min(self.limit_of(task), max(1, self.round_size // 2))

    def trials_left(self, spent: int) -> int:
        """Of the total, as far as its sharers have joined, when `spent` trials are given away; none when time is up."""
        if self.is_out_of_time():
            return 0
        if self._total is None:
            return _NO_LIMIT
        share = min(1.0, self._joined / self._members)
        return max(0, round(int(self._total) * share) - spent)

    @property
    def is_timed(self) -> bool:
        """Whether time limits it."""
        return self._hours is not None or self._run_ends is not None

    def is_out_of_time(self) -> bool:
        """Whether the hours are over, or the run's time for it."""
        return self.seconds_left() == 0.0

    @property
    def is_cut_short(self) -> bool:
        """Whether the run has no more time for it, though its own hours are not over."""
        return self._run_left_s() == 0.0 and self._hours_left_s() > 0.0

    def seconds_left(self) -> float | None:
        """Of the hours or of the run's time, whichever is less; None where no time is set."""
        return min(self._hours_left_s(), self._run_left_s()) if self.is_timed else None

    def answers_in_time(self, trials: int) -> float:
        """How many candidates will be answered before the time is over, at the pace of these trials so far."""
        left_s = self.seconds_left()
        return math.inf if left_s is None else left_s * trials / max(1e-3, time.monotonic() - self._begun)

    def _hours_left_s(self) -> float:
        return math.inf if self._hours is None else _until(self._begun + float(self._hours) * 3600)

    def _run_left_s(self) -> float:
        return math.inf if self._run_ends is None else _until(self._run_ends)

    def is_stuck(self, history: WorkloadHistory) -> bool:
        """Whether early stopping ends a task: so many trials since its best one."""
        return self._patience is not None and history.since_best >= int(self._patience)

    def naive_trials(self, tasks: Sequence[TuningTask]) -> int | None:
        """What a loop over models gives these tasks of one of them: the limit of each, or an even share of the total.

        None where only time limits both.
        """
        if self._hours is not None:
            return None
        each = self._per_task
        if each is None:
            each = max(1, int(self._total or 0) // max(1, self._members * len(tasks)))
        return sum(1 if task.trivial else int(each) for task in tasks)


def _until(end: float) -> float:
    return max(0.0, end - time.monotonic())
