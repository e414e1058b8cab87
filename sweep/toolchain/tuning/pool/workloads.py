"""What a pool tunes: the workloads of all its members, each once, with how far it is and the search for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.search.allocation import TaskProgress, weights
from sweep.toolchain.tuning.pool.relatives import Relatives

if TYPE_CHECKING:
    from sweep.toolchain.tuning.job import TuneJob, TuningTask
    from sweep.toolchain.tuning.pool.budget import TuningBudget
    from sweep.toolchain.tuning.pool.pipeline import Pipeline
    from sweep.toolchain.tuning.space.workload_search import Candidate, WorkloadSearch
    from sweep.toolchain.tuning.tuning_session import TuningSession

__all__ = ["Workloads"]


class Workloads:
    """By the workload's id."""

    def __init__(self, tuner: TuningSession, pipeline: Pipeline) -> None:
        self._tuner, self._store, self._pipeline = tuner, tuner.store, pipeline
        self._relatives = Relatives(tuner.store)
        self.tasks: dict[str, TuningTask] = {}
        """As the first member that has it has it."""
        self.progress: dict[str, TaskProgress] = {}
        self._searches: dict[str, WorkloadSearch] = {}

    def join(self, task: TuningTask, budget: TuningBudget) -> None:
        """A workload that is new here. Raises TuneFailed: its module cannot be read."""
        history = self._store.of(task.workload)
        progress = TaskProgress(
            task.workload,
            task.weight,
            # The costly ones come first, so their operations are to be known before the first round is given away
            flops=self._tuner.flops_of(task),
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
        """How far those of some members are, each once; trials on what only others had would come too late for them."""
        wanted = {task.workload for job in jobs for task in job.tasks}
        return [progress for workload, progress in self.progress.items() if workload in wanted]

    @property
    def trials(self) -> int:
        """Given away, those under way included."""
        return sum(task.trials + task.in_flight for task in self.progress.values())

    def weigh(self, jobs: Sequence[TuneJob], budget: TuningBudget) -> None:
        """What a second of each is worth by now to these members, and what a trial of it costs."""
        calls = [{task.workload: float(task.weight) for task in job.tasks} for job in jobs]
        for workload, weight in weights(calls, self.progress).items():
            self.progress[workload].weight = weight
            if budget.is_timed:
                self.progress[workload].cost_s = self._pipeline.accounts.cost_s(workload, self._pipeline.build_slots)

    def ask(self, progress: TaskProgress, count: int, job: TuneJob) -> tuple[WorkloadSearch, list[Candidate]]:
        """Up to so many new candidates, what relatives have found before what the tuner proposes. Raises TuneFailed."""
        search = self.search(progress.workload, job)
        self._relatives.seed(search, lambda workload: self.search(workload, job))
        with self._pipeline.accounts.searching(progress.workload):
            candidates = search.ask(count)
        progress.is_settled = progress.is_settled or search.is_exhausted
        return search, candidates

    def search(self, workload: str, job: TuneJob) -> WorkloadSearch:
        """Begun when it is first asked for. Raises TuneFailed."""
        if workload not in self._searches:
            with self._pipeline.accounts.searching(workload):
                search = self._tuner.search_for(self.tasks[workload], job)
            self._searches[workload] = search
            self.progress[workload].is_settled |= search.is_exhausted
        return self._searches[workload]

    def forget(self) -> None:
        """Let the designs and searches go: they are read anew from the records when somebody joins again."""
        self.tasks.clear()
        self.progress.clear()
        self._searches.clear()
        self._relatives.forget()
