"""The workloads of all members of a pool, each once, with how far its tuning is and the search for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sweep.errors import TuneFailed
from sweep.search.allocation import TaskProgress, weigh
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.pool.budget import TuningBudget
from sweep.toolchain.tuning.pool.relatives import Relatives
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.space.search_factory import SearchFactory
from sweep.toolchain.tuning.space.workload_search import Candidate, WorkloadSearch

__all__ = ["Workloads"]

_log = logging.getLogger(__name__)


class Workloads:
    """Holds what a pool knows of each workload, by the workload's id."""

    def __init__(self, store: RecordStore, searches: SearchFactory, accounts: Accounts) -> None:
        self._store, self._factory, self._accounts = store, searches, accounts
        self._relatives = Relatives(store)
        self.tasks: dict[str, TuningTask] = {}
        """The description that the member gave which introduced the workload."""
        self.progress: dict[str, TaskProgress] = {}
        self._searches: dict[str, WorkloadSearch] = {}
        self._refused: dict[str, TuneFailed] = {}
        """Why workloads have no search."""

    def join(self, task: TuningTask, budget: TuningBudget) -> None:
        """Take a new workload in. Raises TuneFailed: its module cannot be read."""
        history = self._store.of(task.workload)
        # The costly ones come first, so their operations are to be known before the first round is given away
        flops, traffic = self._factory.work_of(task)
        progress = TaskProgress(
            task.workload,
            task.weight,
            flops=flops,
            traffic=traffic,
            cap=budget.limit_of(task),
            first=budget.first_round_of(task),
            trials=history.trials,
            best_s=history.best_s,
            is_settled=budget.is_stuck(history),
        )
        self.tasks[task.workload], self.progress[task.workload] = task, progress
        if not task.trivial and task.family:
            self._relatives.join(task, progress, budget)

    def of(self, jobs: Sequence[TuneJob]) -> list[TaskProgress]:
        """The progress of what these members have, each workload once: trials on others' would come too late."""
        wanted = {task.workload for job in jobs for task in job.tasks}
        return [progress for workload, progress in self.progress.items() if workload in wanted]

    @property
    def trials(self) -> int:
        """Trials given away, those under way included."""
        return sum(task.trials + task.in_flight for task in self.progress.values())

    @property
    def are_untried(self) -> bool:
        """Whether some have had no trial yet and should have one: until then no network of the pool can be built."""
        return any(not task.trials and not task.is_over for task in self.progress.values())

    @property
    def have_room(self) -> bool:
        """Whether some may still be given trials, or wait for the answers to those that they have been given."""
        return any(not task.is_over for task in self.progress.values())

    def share_of(self, workload: str) -> float:
        """What a workload takes of a network's time by now; 0 where that is not known."""
        return self.progress[workload].share if workload in self.progress else 0.0

    def weigh(self, jobs: Sequence[TuneJob], budget: TuningBudget) -> None:
        """What a second of each is worth by now to these members, and what a trial of it costs."""
        calls = [{task.workload: float(task.weight) for task in job.tasks} for job in jobs]
        weigh(calls, self.progress)
        if budget.is_timed:
            for workload in {workload for counts in calls for workload in counts}:
                self.progress[workload].cost_s = self._accounts.cost_s(workload)

    def ask(self, progress: TaskProgress, count: int, job: TuneJob) -> list[tuple[WorkloadSearch, Candidate]]:
        """Up to so many new candidates, what relatives have found before what the tuner proposes."""
        search = self.search(progress.workload, job)
        if search is None:
            return []
        self._relatives.seed(search, lambda workload: self.search(workload, job))
        with self._accounts.searching(progress.workload):
            candidates = search.ask(count)
        progress.is_settled = progress.is_settled or search.is_exhausted
        return [(search, candidate) for candidate in candidates]

    def search(self, workload: str, job: TuneJob) -> WorkloadSearch | None:
        """The search for a workload, begun when it is first asked for. None where none is possible: the workload keeps
        what it has, and the others go on.
        """
        if workload not in self._searches and workload not in self._refused:
            try:
                with self._accounts.searching(workload):
                    search = self._factory.search_for(self.tasks[workload], job.warm_start)
            except TuneFailed as error:
                _log.warning("%s; it is not tuned", error)
                self._refused[workload] = error
                self._accounts.book_refusal(workload, type(error).__name__)
                self.progress[workload].is_settled = True
                return None
            self._searches[workload] = search
            self.progress[workload].is_settled |= search.is_exhausted
        return self._searches.get(workload)

    def refusal_of(self, job: TuneJob) -> TuneFailed | None:
        """Why a member has nothing: none of its workloads has a search or an earlier schedule."""
        errors = [self._refused.get(task.workload) for task in job.tasks]
        has_schedule = any(self._store.of(task.workload).valid for task in job.tasks)
        return errors[0] if errors and None not in errors and not has_schedule else None

    def forget(self) -> None:
        """Let the designs and searches go: they are read anew from the records when somebody joins again."""
        self.tasks.clear()
        self.progress.clear()
        self._searches.clear()
        self._refused.clear()
        self._relatives.forget()
