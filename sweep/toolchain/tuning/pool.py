"""A pool: all tasks of all lowered modules that one tuner tunes for one target on one device.

Modules join while it runs. A workload that several of them have is tuned once, with the sum of their weights; each next
round goes where it should gain most (`sweep.search.allocation`), so that whatever the budget, every module has complete
schedules early and the costly tasks get the rest. A member ends when none of its tasks can gain more.

The loop runs in a thread of its own; builds and measurements are futures, and the search goes on meanwhile.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep.errors import TuneFailed
from sweep.search.allocation import TaskProgress, next_round
from sweep.toolchain.tuning.accounts import Accounts
from sweep.toolchain.tuning.job import Laboratory, TuneJob, TuningTask
from sweep.toolchain.tuning.pipeline import Answer, Pipeline
from sweep.toolchain.tuning.revalidation import Revalidation

if TYPE_CHECKING:
    from sweep.toolchain.tuning.search import WorkloadSearch
    from sweep.toolchain.tuning.tuner import Tuner

__all__ = ["Pool"]

_WAIT_S = 0.5
_REPORT_EVERY_S = 0.5
_CLOSE_S = 30.0
_AHEAD = 1.5  # rounds under way: one being built and measured, and some queued while the search works on the next

Report = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class _Member:
    """One tune stage in the pool."""

    job: TuneJob
    report: Report
    joined: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    had: dict[str, int] = field(default_factory=dict)
    owns: set[str] = field(default_factory=set)
    """Workloads that it brought in."""
    pays: set[str] = field(default_factory=set)
    """Workloads whose costs are booked on it alone: those that it brought in, and those left by a member that ended."""
    reached_s: float | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    """(trials of the pool, seconds since it joined, estimated latency in seconds)."""


class Pool:
    """See above. `join` blocks until the member is done and may be called from many threads."""

    def __init__(self, tuner: Tuner) -> None:
        self._tuner, self._store = tuner, tuner.store
        self._pipeline = Pipeline(tuner)
        self._revalidation = Revalidation(tuner.store, self._pipeline)
        self._lock = threading.Lock()
        self._members: list[_Member] = []
        self._arriving: list[_Member] = []
        self._thread: threading.Thread | None = None
        self._tasks: dict[str, TuningTask] = {}
        self._progress: dict[str, TaskProgress] = {}
        self._searches: dict[str, WorkloadSearch] = {}
        self._joined = 0
        self._begun: float | None = None
        self._next_report = 0.0

    def join(self, job: TuneJob, laboratory: Laboratory, report: Report) -> dict[str, Any]:
        """Tune a lowered module along with the rest, in the laboratory of whoever came first.

        Raises:
            DeviceLost: the device was away for several candidates in a row.
            TuneFailed: a task could not be read or searched.
        """
        member = _Member(job, report)
        with self._lock:
            self._arriving.append(member)
            if self._thread is None:
                self._pipeline.begin(laboratory)
                self._thread = threading.Thread(target=self._run, name="tuning-pool", daemon=True)
                self._thread.start()
        self._pipeline.wake()
        member.ended.wait()
        if member.error is not None:
            raise member.error
        assert member.result is not None
        return member.result

    def close(self) -> None:
        """Give up what is under way, and wait until nothing more is written."""
        thread = self._thread
        self._give_up(TuneFailed("the tuner was closed"))
        if thread is not None:
            self._pipeline.wake()
            thread.join(_CLOSE_S)
            self._pipeline.clear()

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._take_members():
                self._fill()
                self._settle()
                self._tell_members()
                for answer in self._pipeline.answers(self._patience_s()):
                    self._take(answer)
        except BaseException as error:  # noqa: BLE001 - each waiting call raises it
            self._give_up(error)

    def _patience_s(self) -> float:
        return _WAIT_S if self._pipeline.in_flight or self._revalidation.is_waiting else 0.0

    def _take_members(self) -> bool:
        """Let those who wait in; False when nobody is left, and the loop with them."""
        with self._lock:
            arriving, self._arriving = self._arriving, []
            if not arriving and not self._members:
                self._thread = None
                self._close_searches()
                return False
            self._members += arriving
        for member in arriving:
            self._enrol(member)
        return True

    def _enrol(self, member: _Member) -> None:
        self._begun = self._begun or time.monotonic()
        self._joined += 1
        options = member.job.options
        per_task, round_size = options.get("trials_per_task"), self._round(options)
        for task in member.job.tasks:
            history = self._store.of(task.workload)
            member.had[task.workload] = history.trials
            known = self._progress.get(task.workload)
            if known is not None:
                known.weight += task.weight
                if not any(task.workload in other.pays for other in self._members):
                    member.pays.add(task.workload)
                continue
            member.owns.add(task.workload)
            member.pays.add(task.workload)
            self._tasks[task.workload] = task
            cap = 1 if task.trivial else int(per_task) if per_task is not None else 10**9
            first = 1 if task.trivial else min(cap, max(1, round_size // 2))
            # The costly ones come first, so their operations are to be known before the first round is given away
            flops = self._tuner.flops_of(task)
            progress = TaskProgress(task.workload, task.weight, flops, cap, first, history.trials, history.best_s)
            progress.is_settled = self._is_stuck(progress, options)
            self._progress[task.workload] = progress

    def _fill(self) -> None:
        """Send rounds out until enough are under way."""
        if not self._members:
            return
        options = self._members[0].job.options
        round_size = self._round(options)
        while self._pipeline.in_flight < _AHEAD * max(round_size, 8 * self._pipeline.build_slots):
            left = 0 if self._out_of_time() else self._trials_left()
            given = next_round(self._wanted_tasks(), round_size, left)
            if given is None:
                return
            task, wanted = given
            search = self._search_of(task.workload, self._members[0].job)
            with self._pipeline.accounts.searching(task.workload):
                candidates = search.ask(wanted)
            task.is_settled = task.is_settled or search.is_exhausted
            for candidate in candidates:
                task.in_flight += 1
                self._pipeline.send(search, candidate, self._members[0].job)
            for answer in self._pipeline.answers(0.0):
                self._take(answer)

    def _wanted_tasks(self) -> list[TaskProgress]:
        """Of the members that are still here: trials on what only others had would come too late for them."""
        wanted = {task.workload for member in self._members for task in member.job.tasks}
        return [progress for workload, progress in self._progress.items() if workload in wanted]

    def _take(self, answer: Answer) -> None:
        progress = self._progress[answer.workload]
        if answer.validation is not None:
            self._revalidation.take(answer)
            return
        trial = self._pipeline.keep(answer)
        progress.in_flight -= 1
        progress.add(trial.median_s)
        options = self._members[0].job.options if self._members else {}
        progress.is_settled = progress.is_settled or self._is_stuck(progress, options)
        for member in self._members:
            if answer.workload in member.had:
                self._extend_curve(member)

    def _settle(self) -> None:
        """End the members none of whose tasks can gain more, their best candidates measured again first."""
        is_over = self._trials_left() <= 0 or self._out_of_time()
        ended = []
        for progress in self._progress.values():  # not all of them at the end, with search and builders idle
            if not (progress.room or progress.in_flight) and self._members:
                task, search = self._tasks[progress.workload], self._searches.get(progress.workload)
                self._revalidation.see_to(task, self._members[0].job, search)
        for member in list(self._members):
            tasks = [self._progress[task.workload] for task in member.job.tasks]
            if any(task.in_flight or (task.room and not is_over) for task in tasks):
                continue
            if self._revalidation.is_done_for(member.job, self._searches):
                self._members.remove(member)
                self._extend_curve(member)
                member.result = self._result(member)
                self._hand_over(member)
                ended.append(member)
        if not self._members:
            self._pipeline.clear()
        for member in ended:
            member.ended.set()

    def _hand_over(self, member: _Member) -> None:
        """What is spent from now on for workloads that an ended member paid for is booked on another that has them."""
        for workload in member.pays:
            self._pipeline.accounts.forget(workload)
            heir = next((other for other in self._members if workload in other.had), None)
            if heir is not None:
                heir.pays.add(workload)

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            waiting, self._members, self._arriving = [*self._members, *self._arriving], [], []
            self._thread = None
            self._pipeline.abandon()
            self._close_searches()
        for member in waiting:
            member.error = error
            member.ended.set()

    def _close_searches(self) -> None:
        """Let the designs and searches go: they are read anew from the records when somebody joins again."""
        self._searches.clear()
        self._progress.clear()
        self._tasks.clear()
        self._revalidation.forget()
        self._joined, self._begun = 0, None

    # -- budgets ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _round(options: Mapping[str, Any]) -> int:
        return int(options.get("round") or 16)

    def _trials_left(self) -> int:
        """Of the study's total for this pool, as far as its modules have joined."""
        if not self._members:
            return 0
        job = self._members[0].job
        total = job.options.get("trials_total")
        if total is None:
            return 10**9
        share = int(total) * min(1.0, self._joined / max(1, job.members))
        return max(0, round(share) - sum(task.trials + task.in_flight for task in self._progress.values()))

    def _out_of_time(self) -> bool:
        hours = self._members[0].job.options.get("hours") if self._members else None
        return hours is not None and self._begun is not None and time.monotonic() - self._begun > float(hours) * 3600

    def _is_stuck(self, progress: TaskProgress, options: Mapping[str, Any]) -> bool:
        """Whether early stopping ends this task: so many trials since its best one."""
        patience = options.get("early_stopping")
        return patience is not None and self._store.of(progress.workload).since_best >= int(patience)

    def _search_of(self, workload: str, job: TuneJob) -> WorkloadSearch:
        if workload not in self._searches:
            with self._pipeline.accounts.searching(workload):
                search = self._tuner.search_for(self._tasks[workload], job)
            self._searches[workload] = search
            self._progress[workload].is_settled |= search.is_exhausted
        return self._searches[workload]

    # -- what has been reached ----------------------------------------------------------------------------------------

    def _estimate_s(self, job: TuneJob) -> float | None:
        """Sum of best times by weight, as they were first measured; None while a task has no valid trial."""
        total = sum(task.weight * self._store.of(task.workload).best_s for task in job.tasks)
        return total if math.isfinite(total) else None

    def _extend_curve(self, member: _Member) -> None:
        estimate = self._estimate_s(member.job)
        if estimate is not None and (member.reached_s is None or estimate < member.reached_s):
            member.reached_s = estimate
            since = round(time.monotonic() - member.joined, 3)
            member.curve.append((self._pipeline.accounts.trials, since, estimate))

    def _tell_members(self) -> None:
        now = time.monotonic()
        if now < self._next_report:
            return
        self._next_report = now + _REPORT_EVERY_S
        accounts = self._pipeline.accounts
        for member in self._members:
            tasks = [self._progress[task.workload] for task in member.job.tasks]
            mine = [accounts.of(workload) for workload in member.pays]
            member.report(
                {
                    "label": member.job.label,
                    "trials": sum(one.trials for one in mine),
                    "trials_total": sum(one.trials for one in mine) + self._open_trials(member),
                    "valid": sum(one.valid for one in mine),
                    "best_estimate_s": member.reached_s,
                    "tasks": len(tasks),
                    "tasks_covered": sum(1 for task in tasks if self._store.of(task.workload).valid),
                    "in_flight": sum(task.in_flight for task in tasks),
                    "failed": accounts.failures_of(member.pays),
                    "busy": accounts.busy(self._pipeline.build_slots),
                }
            )

    def _open_trials(self, member: _Member) -> int:
        """Trials that are still to come for what this member brought in."""
        rooms = sum(min(self._progress[w].room, 10**6) + self._progress[w].in_flight for w in member.pays)
        return min(rooms, self._trials_left() + sum(self._progress[w].in_flight for w in member.pays))

    def _result(self, member: _Member) -> dict[str, Any]:
        accounts: Accounts = self._pipeline.accounts
        tasks = []
        for task in member.job.tasks:
            history = self._store.of(task.workload)
            validation = history.validation
            tasks.append(
                {
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
                    "reused": task.workload not in member.owns
                    or (member.had[task.workload] > 0 and history.trials == member.had[task.workload]),
                    "failed": accounts.failures_of({task.workload}),
                }
            )
        mine = [accounts.of(workload) for workload in sorted(member.pays)]
        naive = sum(1 if task.trivial else self._naive_trials(member.job) for task in member.job.tasks)
        return {
            "trials": sum(one.trials for one in mine),
            "valid": sum(one.valid for one in mine),
            "failed": accounts.failures_of(member.pays),
            "tasks": tasks,
            "naive_trials": naive,
            "warm_started": sum(one.warm for one in mine),
            "search_s": round(sum(one.search_s for one in mine), 3),
            "build_s": round(sum(one.build_s for one in mine), 3),
            "measure_s": round(sum(one.measure_s for one in mine), 3),
            "validate_s": round(sum(one.validate_s for one in mine), 3),
            "tuning_s": round(time.monotonic() - member.joined, 3),
            "utilisation": accounts.utilisation(self._pipeline.build_slots),
            "curve": [list(point) for point in member.curve],
        }

    @staticmethod
    def _naive_trials(job: TuneJob) -> int:
        """What a loop over models gives each task: the cap, or an even share of the total."""
        per_task = job.options.get("trials_per_task")
        if per_task is not None:
            return int(per_task)
        return max(1, int(job.options.get("trials_total") or 0) // max(1, job.members * len(job.tasks)))
