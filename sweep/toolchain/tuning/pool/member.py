"""A tune stage in a pool, and what it is told: how far it is while it waits, and what was found in the end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep.analysis.tuning_rows import trials_to_near
from sweep.toolchain.tuning.job import TuneJob, TuningTask

if TYPE_CHECKING:
    from sweep.search.allocation import TaskProgress
    from sweep.toolchain.tuning.pool.budget import TuningBudget
    from sweep.toolchain.tuning.pool.pipeline import Pipeline
    from sweep.toolchain.tuning.tuning_session import TuningSession

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
    had: dict[str, int] = field(default_factory=dict)
    """Trials that each of its workloads had when it joined."""
    owns: set[str] = field(default_factory=set)
    """Workloads that it brought in."""
    pays: set[str] = field(default_factory=set)
    """Workloads whose costs are booked on it alone: those that it brought in, and those left by a member that ended."""
    reached_s: float | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    """(trials of the pool, seconds since it joined, estimated latency in seconds)."""


class ProgressReporter:
    """Tells members what the pool has reached. `progress` is the pool's own, by workload."""

    def __init__(self, tuner: TuningSession, pipeline: Pipeline, progress: Mapping[str, TaskProgress]) -> None:
        self._tuner, self._store, self._pipeline, self._progress = tuner, tuner.store, pipeline, progress

    def extend_curve(self, member: PoolMember) -> None:
        """Note a better estimate, the sum of best times by weight as first measured, once every task has one."""
        estimate = sum(task.weight * self._store.of(task.workload).best_s for task in member.job.tasks)
        if math.isfinite(estimate) and (member.reached_s is None or estimate < member.reached_s):
            member.reached_s = estimate
            since = round(time.monotonic() - member.joined, 3)
            member.curve.append((self._pipeline.accounts.trials, since, estimate))

    def tell(self, member: PoolMember, trials_left: int, seconds_left: float | None) -> None:
        """How far it is. The time that is left of the pool's hours is None where there are none."""
        tasks = [self._progress[task.workload] for task in member.job.tasks]
        accounts = self._pipeline.accounts
        mine = [accounts.of(workload) for workload in member.pays]
        member.report(
            {
                "label": member.job.label,
                "trials": sum(one.trials for one in mine),
                "trials_total": sum(one.trials for one in mine) + self._open_trials(member, trials_left),
                "seconds_left": None if seconds_left is None else round(seconds_left, 1),
                "valid": sum(one.valid for one in mine),
                "best_estimate_s": member.reached_s,
                "tasks": len(tasks),
                "tasks_covered": sum(1 for task in tasks if self._store.of(task.workload).valid),
                "in_flight": sum(task.in_flight for task in tasks),
                "failed": accounts.failures_of(member.pays),
                "busy": accounts.busy(self._pipeline.build_slots),
            }
        )

    def _open_trials(self, member: PoolMember, trials_left: int) -> int:
        """Trials that are still to come for what this member brought in."""
        mine = [self._progress[workload] for workload in member.pays]
        in_flight = sum(task.in_flight for task in mine)
        return in_flight + min(sum(min(task.room, 10**6) for task in mine), trials_left)

    def result(self, member: PoolMember, budget: TuningBudget) -> dict[str, Any]:
        """What its stage has come to."""
        accounts = self._pipeline.accounts
        mine = [accounts.of(workload) for workload in sorted(member.pays)]
        return {
            "trials": sum(one.trials for one in mine),
            "valid": sum(one.valid for one in mine),
            "failed": accounts.failures_of(member.pays),
            "tasks": [self._task_result(member, task) for task in member.job.tasks],
            "naive_trials": budget.naive_trials(member.job.tasks),
            "is_cut_short": budget.is_cut_short and any(self._progress[t.workload].room for t in member.job.tasks),
            "warm_started": sum(one.warm for one in mine),
            "search_s": round(sum(one.search_s for one in mine), 3),
            "build_s": round(sum(one.build_s for one in mine), 3),
            "measure_s": round(sum(one.measure_s for one in mine), 3),
            "validate_s": round(sum(one.validate_s for one in mine), 3),
            "tuning_s": round(time.monotonic() - member.joined, 3),
            "utilisation": accounts.utilisation(self._pipeline.build_slots),
            "curve": [list(point) for point in member.curve],
        }

    def _task_result(self, member: PoolMember, task: TuningTask) -> dict[str, Any]:
        history, had = self._store.of(task.workload), member.had[task.workload]
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
            "near_elsewhere": self._tuner.trials_elsewhere(task.workload),
            "reused": task.workload not in member.owns or (had > 0 and history.trials == had),
            "failed": self._pipeline.accounts.failures_of({task.workload}),
        }
