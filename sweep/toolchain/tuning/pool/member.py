"""The members of a pool, which are tune stages, and what each is told: progress while it waits, and its result."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.analysis.rows.tuning_rows import trials_to_near
from sweep.search.allocation import TaskProgress
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.pool.budget import TuningBudget
from sweep.toolchain.tuning.records.record_store import RecordStore

__all__ = ["PoolMember", "ProgressReporter", "Report"]

Report = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class PoolMember:
    """One tune stage in the pool."""

    job: TuneJob
    report: Report
    joined: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    trials_at_join: dict[str, int] = field(default_factory=dict)
    """Trials that each of its workloads had when it joined."""
    pool_trials_at_join: int = 0
    """Those that the pool had made by then."""
    introduced: set[str] = field(default_factory=set)
    """Workloads that no other member had when it joined."""
    billed_workloads: set[str] = field(default_factory=set)
    """Workloads whose costs are booked on it alone: what it introduced, and what a member that ended has left to it."""
    reached_s: float | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    """(trials of the pool, seconds since it joined, estimated latency in seconds)."""
    measured: list[tuple[int, float, float]] = field(default_factory=list)
    """The same, but of the whole network, built of the schedules that there were and measured."""
    built_at_s: float | None = None
    """The estimate when its network was last built."""
    early_s: float = 0.0
    """Seconds that its network was built and measured for, the last time."""
    early_failures: int = 0

    def pace_s(self, now: float, pool_trials: int) -> float:
        """Seconds that a trial of the pool has taken since this one joined, before the first as long as that is ago."""
        return (now - self.joined) / max(1, pool_trials - self.pool_trials_at_join)


class ProgressReporter:
    """Tells members what the pool has reached."""

    def __init__(
        self,
        store: RecordStore,
        accounts: Accounts,
        progress: Mapping[str, TaskProgress],
        trials_elsewhere: Callable[[str], int | None],
    ) -> None:
        """`trials_elsewhere`: what another sweep needed for a workload; None where none knew it."""
        self._store, self._accounts, self._progress = store, accounts, progress
        self._trials_elsewhere = trials_elsewhere

    def extend_curve(self, member: PoolMember) -> None:
        """Note a better estimate, the sum of best times by weight as first measured, once every task has one."""
        estimate = sum(task.weight * self._store.of(task.workload).best_s for task in member.job.tasks)
        if math.isfinite(estimate) and (member.reached_s is None or estimate < member.reached_s):
            member.reached_s = estimate
            since = round(time.monotonic() - member.joined, 3)
            member.curve.append((self._accounts.trials, since, estimate))

    def tell(self, member: PoolMember, trials_left: int, seconds_left: float | None) -> None:
        """Report how far a member is. `seconds_left` of the pool's hours is None where there are none."""
        tasks = [self._progress[task.workload] for task in member.job.tasks]
        accounts = self._accounts
        billed = [accounts.of(workload) for workload in member.billed_workloads]
        member.report(
            {
                "label": member.job.label,
                "trials": sum(spent.trials for spent in billed),
                "trials_total": sum(spent.trials for spent in billed) + self._open_trials(member, trials_left),
                "seconds_left": None if seconds_left is None else round(seconds_left, 1),
                "valid": sum(spent.valid for spent in billed),
                "best_estimate_s": member.reached_s,
                **_measured(member),
                "tasks": len(tasks),
                "tasks_covered": sum(1 for task in tasks if self._store.of(task.workload).valid),
                "in_flight": sum(task.in_flight for task in tasks),
                "failed": accounts.failures_of(member.billed_workloads),
                "busy": accounts.busy(),
            }
        )

    def _open_trials(self, member: PoolMember, trials_left: int) -> int:
        """Trials that are still to come for what is booked on this member."""
        billed = [self._progress[workload] for workload in member.billed_workloads]
        in_flight = sum(task.in_flight for task in billed)
        return in_flight + min(sum(min(task.room, 10**6) for task in billed), trials_left)

    def result(self, member: PoolMember, budget: TuningBudget) -> dict[str, Any]:
        """The result of a member's stage."""
        accounts = self._accounts
        billed = [accounts.of(workload) for workload in sorted(member.billed_workloads)]
        return {
            "trials": sum(spent.trials for spent in billed),
            "valid": sum(spent.valid for spent in billed),
            "failed": accounts.failures_of(member.billed_workloads),
            "tasks": [self._task_result(member, task) for task in member.job.tasks],
            "naive_trials": budget.naive_trials(member.job.tasks),
            "is_cut_short": budget.is_cut_short and any(self._progress[t.workload].room for t in member.job.tasks),
            "warm_started": sum(spent.warm for spent in billed),
            "search_s": round(sum(spent.search_s for spent in billed), 3),
            "build_s": round(sum(spent.build_s for spent in billed), 3),
            "measure_s": round(sum(spent.measure_s for spent in billed), 3),
            "validate_s": round(sum(spent.validate_s for spent in billed), 3),
            "tuning_s": round(time.monotonic() - member.joined, 3),
            "utilisation": accounts.utilisation(),
            "curve": [list(point) for point in member.curve],
            "measured": [list(point) for point in member.measured],
        }

    def _task_result(self, member: PoolMember, task: TuningTask) -> dict[str, Any]:
        history, trials_at_join = self._store.of(task.workload), member.trials_at_join[task.workload]
        is_as_before = trials_at_join > 0 and history.trials == trials_at_join
        validation = history.validation
        return {
            "workload": task.workload,
            "name": task.name,
            "weight": task.weight,
            "trivial": task.trivial,
            "flops": self._progress[task.workload].flops,
            "trials": history.trials,
            "valid": history.valid,
            "best_s": history.expected_s,
            "screening_s": history.best_s if history.valid else None,
            "gap": None if validation is None else round(validation.gap, 5),
            "near_here": trials_to_near([trial.median_s for trial in history.all]),
            "near_elsewhere": self._trials_elsewhere(task.workload),
            "reused": task.workload not in member.introduced or is_as_before,
            "failed": self._accounts.failures_of({task.workload}),
        }


def _measured(member: PoolMember) -> dict[str, Any]:
    """The last time of the whole network; nothing before the first."""
    if not member.measured:
        return {}
    trials, _, latency_s = member.measured[-1]
    return {"measured_s": latency_s, "measured_trials": trials}
