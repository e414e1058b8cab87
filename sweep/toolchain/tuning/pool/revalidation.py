"""The best candidates of each workload are measured again, in turns, before one is chosen.

The least of many noisy times is too low (the winner's curse), and the candidate it belongs to need not be the best. The
few that come close are measured again, interleaved so that drift hits all alike; the choice is by the median of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sweep.toolchain.candidates.pipeline import BuildMeasurePipeline
from sweep.toolchain.candidates.requests import ComparisonRequest, CompletedComparison, Contender
from sweep.toolchain.candidates.service import scheduled_module
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.trial_logs import Trial, Validation
from sweep.toolchain.tuning.space.workload_search import WorkloadSearch

__all__ = ["Revalidation"]

_BEST = 3
_CLOSE = 1.25
"""Times the best: what is slower will not win."""
_SHARE = 0.01
"""Of a network's time: what is below is left as first measured. A wrong choice among contenders that close costs the
network a quarter of that at most, and a comparison half a second of the device, like three more trials elsewhere. A
third to a half of SqueezeNet's tasks are such.
"""


class Revalidation:
    """Compares the contenders of each workload of a pool, once it gets no more trials."""

    def __init__(
        self,
        store: RecordStore,
        pipeline: BuildMeasurePipeline[Any, Trial],
        accounts: Accounts,
        search_for: Callable[[str, TuneJob], WorkloadSearch | None],
        share_of: Callable[[str], float],
    ) -> None:
        """`search_for`: the search of a workload, which builds a contender again whose library is gone;
        None where none is possible.

        `share_of`: what it takes of a network's time, in the one of which it takes the most; 0 where that is not known.
        """
        self._store, self._pipeline, self._accounts, self._search_for = store, pipeline, accounts, search_for
        self._share_of = share_of
        self._under_way: set[str] = set()
        self._settled: dict[str, int] = {}
        """Workloads whose comparison was begun or not needed, with the trials that they had then."""

    def is_done_for(self, job: TuneJob) -> bool:
        """Whether each task of a module has its winner; begins what is missing."""
        waiting = [self.see_to(task, job) for task in job.tasks]
        return not any(waiting)

    def see_to(self, task: TuningTask, job: TuneJob) -> bool:
        """Begin the comparison of a task that gets no more trials, unless it had one; whether one is under way."""
        if task.workload in self._under_way:
            return True
        trials = self._store.of(task.workload).trials
        if task.trivial or self._settled.get(task.workload) == trials or 0 < self._share_of(task.workload) < _SHARE:
            return False
        self._settled[task.workload] = trials
        return self._begin(task.workload, job)

    def take(self, completed: CompletedComparison[Trial]) -> None:
        """Record a comparison that has ended; one that failed leaves the choice as it was."""
        workload = completed.request.candidates[0].subject.workload
        self._under_way.discard(workload)
        if completed.error is not None:
            return
        self._accounts.book_measure(workload, completed.measure_s or 0.0, validating=True)
        measured = []
        for trial, run_secs in zip(completed.compared, completed.run_secs, strict=True):
            assert trial.record is not None
            measured.append((trial.record, trial.trace_hash, trial.median_s, run_secs))
        self._store.add_validation(Validation.of(workload, measured))

    def forget(self) -> None:
        """Drop what is known: nothing is under way any more."""
        self._under_way.clear()
        self._settled.clear()

    def _begin(self, workload: str, job: TuneJob) -> bool:
        """Send the contenders off, building those again that are gone; False when there is nothing to compare."""
        contenders = self._contenders(workload)
        if not contenders or self._is_known(workload, contenders):
            return False
        search = self._search_for(workload, job)
        if search is None:
            return False
        candidates = []
        for trial in contenders:
            candidate = search.again(trial)
            if candidate is not None:
                lib = self._pipeline.libraries.of(workload, trial.trace_hash)
                candidates.append(Contender(trial, scheduled_module(candidate.module_json), candidate.args, lib))
        if not candidates:
            return False
        self._under_way.add(workload)
        self._pipeline.submit(ComparisonRequest(job.device, candidates, job.timing, job.build_timeout_s))
        return True

    def _contenders(self, workload: str) -> list[Trial]:
        history = self._store.of(workload)
        close = [trial for trial in history.best if (trial.median_s or math.inf) <= _CLOSE * history.best_s][:_BEST]
        if history.validation is not None:  # the former winner defends its place
            winner = history.validation.winner
            close += [t for t in history.all if t.record == winner and t not in close]
        return close

    def _is_known(self, workload: str, contenders: list[Trial]) -> bool:
        validation = self._store.of(workload).validation
        return validation is not None and {t.record for t in contenders} <= {c["record"] for c in validation.contenders}
