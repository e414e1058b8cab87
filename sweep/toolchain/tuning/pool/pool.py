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
from functools import partial
from typing import Any

from sweep.errors import TuneFailed
from sweep.search.allocation import next_round
from sweep.toolchain.candidates.libraries import Libraries
from sweep.toolchain.candidates.pipeline import BuildMeasurePipeline
from sweep.toolchain.candidates.requests import CompletedComparison, CompletedTrial
from sweep.toolchain.candidates.service import CandidateService, NetworkService
from sweep.toolchain.tuning.job import TuneJob
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.pool.budget import TuningBudget
from sweep.toolchain.tuning.pool.early_networks import EarlyNetworks
from sweep.toolchain.tuning.pool.member import PoolMember, ProgressReporter, Report
from sweep.toolchain.tuning.pool.revalidation import Revalidation
from sweep.toolchain.tuning.pool.trial_recorder import PoolCandidate, TrialRecorder
from sweep.toolchain.tuning.pool.workloads import Workloads
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.trial_logs import Trial
from sweep.toolchain.tuning.space.search_factory import SearchFactory

__all__ = ["Pool"]

_WAIT_S = 0.5
_REPORT_EVERY_S = 0.5
_CLOSE_S = 30.0
_NEXT_WITHIN_S = 5.0
"""It is told again as long as it is so: this is how long a device waits in vain where nobody tells it any more."""
_AHEAD = 1.5  # rounds under way: one being built and measured, and some queued while the search works on the next


class Pool:
    """Tunes for its members. `join` blocks until the member is done and may be called from many threads."""

    def __init__(self, store: RecordStore, target_json: str, searches: SearchFactory) -> None:
        """`target_json`: the full target, as its records name it."""
        self._store = store
        self._accounts = Accounts()
        self._pipeline: BuildMeasurePipeline[PoolCandidate, Trial] = BuildMeasurePipeline(Libraries(store.folder))
        self._recorder = TrialRecorder(store, target_json, self._accounts, self._pipeline.libraries)
        self._workloads = Workloads(store, searches, self._accounts)
        self._revalidation = Revalidation(
            store, self._pipeline, self._accounts, self._workloads.search, self._workloads.share_of
        )
        self._early = EarlyNetworks(store.folder, self._pipeline.wake)
        self._lock = threading.Lock()
        self._members: list[PoolMember] = []
        self._arriving: list[PoolMember] = []
        self._thread: threading.Thread | None = None
        self._budget: TuningBudget | None = None
        """From the first member's coming to the last one's end."""
        self._reporter = ProgressReporter(store, self._accounts, self._workloads.progress, searches.trials_elsewhere)
        self._next_report = 0.0
        self._is_expected = False

    def join(
        self, job: TuneJob, service: CandidateService, report: Report, networks: NetworkService | None = None
    ) -> dict[str, Any]:
        """Tune a lowered module along with the rest; candidates, and whole networks where there is a service for them,
        are built and timed by the services of whoever came first.

        Raises:
            DeviceLost, CompilerLost, EngineError: device or builders were away for several candidates in a row.
            TuneFailed: a task could not be read, or none could be searched.
        """
        member = PoolMember(job, report)
        with self._lock:
            self._arriving.append(member)
            if self._thread is None:
                self._accounts.begin(service.build_slots)
                self._pipeline.begin({job.device: service})
                self._early.begin(networks)
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
            self._pipeline.libraries.clear()

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (budget := self._take_members()) is not None:
                self._expect(budget)
                is_full = self._fill(budget)
                self._early.see_to(self._members, self._accounts.trials, partial(self._left_s, budget))
                self._settle(budget)
                self._tell_members(budget)
                for answer in self._pipeline.answers(self._patience_s() if is_full else 0.0):
                    self._take(answer, budget)
        except BaseException as error:  # noqa: BLE001 - each waiting call raises it
            self._give_up(error)

    def _patience_s(self) -> float:
        return _WAIT_S if self._pipeline.in_flight else 0.0

    def _take_members(self) -> TuningBudget | None:
        """Let those in who wait. None when nobody is left, and the loop ends."""
        with self._lock:
            arriving, self._arriving = self._arriving, []
            if not arriving and not self._members:
                self._thread = None
                self._close_searches()
                return None
            self._members += arriving
        for member in arriving:
            try:
                self._enrol(member)
            except TuneFailed as error:  # a task of it cannot be read: that is no reason to end the others
                self._members.remove(member)
                member.error = error
                member.ended.set()
        return self._budget

    def _expect(self, budget: TuningBudget) -> None:
        """Tell the device whether a candidate is to come that it should wait for: the first of a workload, as a first
        answer waits for it, and any where time is the budget, of which cells would take what builds leave idle.
        """
        is_searching = budget.is_timed and not budget.is_out_of_time() and self._workloads.have_room
        is_coming = is_searching or self._workloads.are_untried
        seconds = _NEXT_WITHIN_S if is_coming else 0.0
        if seconds or self._is_expected:
            self._pipeline.expect(seconds)
        self._is_expected = seconds > 0

    def _enrol(self, member: PoolMember) -> None:
        if self._budget is None:
            self._budget = TuningBudget(member.job)
        budget = self._budget
        budget.join(member.job.limit_s)
        member.pool_trials_at_join = self._accounts.trials
        for task in member.job.tasks:
            member.trials_at_join[task.workload] = self._store.of(task.workload).trials
            if task.workload not in self._workloads.progress:
                member.introduced.add(task.workload)
                member.billed_workloads.add(task.workload)
                self._workloads.join(task, budget)
            elif not any(task.workload in other.billed_workloads for other in self._members):
                member.billed_workloads.add(task.workload)

    def _fill(self, budget: TuningBudget) -> bool:
        """Send one round out; whether enough are under way, or none is left to be sent.

        One at a time: a whole network is timed, and progress told, between them, also where there is always room.
        """
        if not self._members:
            return True
        jobs = [member.job for member in self._members]
        self._workloads.weigh(jobs, budget)
        if (room := self._room(budget)) <= 0:
            return True
        given = next_round(self._workloads.of(jobs), budget.round_size, self._trials_left(budget))
        if given is None:
            return True
        task, wanted = given[0], given[1] if math.isinf(room) else min(given[1], math.ceil(room))
        for search, candidate in self._workloads.ask(task, wanted, jobs[0]):
            task.in_flight += 1
            self._pipeline.submit(self._recorder.request(search, candidate, jobs[0]))
        return False

    def _room(self, budget: TuningBudget) -> float:
        """Candidates that may still be sent out; a round is not cut but for time that ends."""
        slots = self._accounts.build_slots
        under_way = self._pipeline.in_flight
        in_time = budget.answers_in_time(self._accounts.trials)
        if under_way >= _AHEAD * max(budget.round_size, 8 * slots):
            return 0.0
        return max(2.0 * slots, in_time) - under_way

    def _take(self, answer: CompletedTrial[PoolCandidate] | CompletedComparison[Trial], budget: TuningBudget) -> None:
        if isinstance(answer, CompletedComparison):
            self._revalidation.take(answer)
            return
        trial = self._recorder.record(answer)
        progress = self._workloads.progress[trial.workload]
        progress.in_flight -= 1
        if trial.is_lost:
            progress.is_settled = budget.is_stuck(self._store.of(trial.workload)) or answer.subject.search.is_exhausted
            return
        progress.add(trial.median_s)
        progress.is_settled = progress.is_settled or budget.is_stuck(self._store.of(trial.workload))
        for member in self._members:
            if trial.workload in member.trials_at_join:
                self._reporter.extend_curve(member)

    def _settle(self, budget: TuningBudget) -> None:
        """End the members none of whose tasks can gain more, their best candidates measured again first."""
        is_over = self._trials_left(budget) <= 0
        ended = []
        self._workloads.weigh([member.job for member in self._members], budget)  # by what came since
        for progress in self._workloads.progress.values():  # not all of them at the end, with search and builders idle
            if not (progress.room or progress.in_flight) and self._members:
                self._revalidation.see_to(self._workloads.tasks[progress.workload], self._members[0].job)
        for member in list(self._members):
            tasks = self._workloads.of([member.job])
            if any(task.in_flight or (task.room and not is_over) for task in tasks):
                continue
            if self._revalidation.is_done_for(member.job):
                self._members.remove(member)
                self._reporter.extend_curve(member)
                self._reporter.tell(member, self._trials_left(budget), budget.seconds_left())
                member.error = self._workloads.refusal_of(member.job)
                member.result = self._reporter.result(member, budget)
                self._hand_over(member)
                ended.append(member)
        if not self._members:
            self._pipeline.libraries.clear()
        for member in ended:
            member.ended.set()

    def _hand_over(self, member: PoolMember) -> None:
        """What is spent from now on for workloads that an ended member paid for is booked on another that has them."""
        for workload in member.billed_workloads:
            self._accounts.forget(workload)
            heir = next((other for other in self._members if workload in other.trials_at_join), None)
            if heir is not None:
                heir.billed_workloads.add(workload)

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
        self._workloads.forget()
        self._revalidation.forget()
        self._early.forget()
        self._budget = None

    def _left_s(self, budget: TuningBudget, member: PoolMember) -> float:
        """How long a member will still be tuned, at the pace so far."""
        room = sum(min(task.room, 10**6) for task in self._workloads.of([member.job]))
        pace_s = member.pace_s(time.monotonic(), self._accounts.trials)
        left_s = min(room, self._trials_left(budget)) * pace_s
        return min(left_s, math.inf if (seconds := budget.seconds_left()) is None else seconds)

    def _trials_left(self, budget: TuningBudget) -> int:
        return budget.trials_left(self._workloads.trials)

    def _tell_members(self, budget: TuningBudget) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _REPORT_EVERY_S
            for member in self._members:
                self._reporter.tell(member, self._trials_left(budget), budget.seconds_left())
