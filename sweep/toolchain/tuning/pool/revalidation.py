"""The best candidates of each workload are measured again, in turns, before one is chosen.

The least of many noisy times is too low (the winner's curse), and the candidate it belongs to need not be the best. The
few that come close are measured again, interleaved so that drift hits all alike; the choice is by the median of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.trial_logs import Trial, Validation

if TYPE_CHECKING:
    from sweep.toolchain.tuning.job import TuneJob, TuningTask
    from sweep.toolchain.tuning.pool.pipeline import Answer, Pipeline
    from sweep.toolchain.tuning.space.workload_search import WorkloadSearch

__all__ = ["Revalidation"]

_BEST = 3
_CLOSE = 1.25  # times the best: what is slower will not win


@dataclass(slots=True)
class _Comparison:
    """The contenders of one workload on their way to the device."""

    workload: str
    job: TuneJob
    contenders: list[Trial] = field(default_factory=list)
    libs: list[Path] = field(default_factory=list)
    args: list[list[dict[str, Any]]] = field(default_factory=list)
    """Of each: the shape of a packed weight is the candidate's own choice."""
    building: list[Future[dict[str, Any]]] = field(default_factory=list)
    """Of the contenders whose libraries are gone."""


class Revalidation:
    """Of one pool."""

    def __init__(
        self, store: RecordStore, pipeline: Pipeline, search_for: Callable[[str, TuneJob], WorkloadSearch]
    ) -> None:
        """`search_for`: the search of a workload, which builds a contender again whose library is gone."""
        self._store, self._pipeline, self._search_for = store, pipeline, search_for
        self._under_way: set[str] = set()
        self._building: list[_Comparison] = []
        self._settled: dict[str, int] = {}
        """Workloads that were seen to, with the trials they had."""

    @property
    def is_waiting(self) -> bool:
        """Whether contenders are being built again."""
        return bool(self._building)

    def is_done_for(self, job: TuneJob) -> bool:
        """Whether each task of a module has its winner; begins what is missing."""
        waiting = [self.see_to(task, job) for task in job.tasks]
        return not any(waiting)

    def see_to(self, task: TuningTask, job: TuneJob) -> bool:
        """Begin the comparison of a task that gets no more trials, unless it had one; whether one is under way."""
        self._send_built()
        if task.workload in self._under_way:
            return True
        trials = self._store.of(task.workload).trials
        if task.trivial or self._settled.get(task.workload) == trials:
            return False
        self._settled[task.workload] = trials
        return self._begin(task.workload, job)

    def take(self, answer: Answer) -> None:
        """Record a comparison that has ended; one that failed leaves the choice as it was."""
        comparison: _Comparison = answer.validation
        self._under_way.discard(comparison.workload)
        if isinstance(answer.outcome, BaseException):
            if not isinstance(answer.outcome, SweepError):
                raise answer.outcome
            return
        self._pipeline.accounts.book_measure(comparison.workload, float(answer.outcome["seconds"]), validating=True)
        measured = []
        for trial, run_secs in zip(comparison.contenders, answer.outcome["run_secs"], strict=True):
            assert trial.record is not None
            measured.append((trial.record, trial.trace_hash, trial.median_s, [float(s) for s in run_secs]))
        self._store.add_validation(Validation.of(comparison.workload, measured))

    def forget(self) -> None:
        """Nothing is under way any more."""
        self._under_way.clear()
        self._settled.clear()
        self._building.clear()

    def _begin(self, workload: str, job: TuneJob) -> bool:
        """Collect the contenders, building those again that are gone; False when there is nothing to compare."""
        contenders = self._contenders(workload)
        if not contenders or self._is_known(workload, contenders):
            return False
        comparison, search = _Comparison(workload, job), self._search_for(workload, job)
        for trial in contenders:
            candidate = search.again(trial)
            if candidate is None:
                continue
            lib = self._pipeline.libraries.of(workload, trial.trace_hash)
            if lib is None:
                lib, built = self._pipeline.build(candidate, job)
                built.add_done_callback(lambda _: self._pipeline.wake())
                comparison.building.append(built)
            comparison.contenders.append(trial)
            comparison.libs.append(lib)
            comparison.args.append(candidate.args)
        if not comparison.contenders:
            return False
        self._under_way.add(workload)
        self._building.append(comparison)
        self._send_built()
        return True

    def _send_built(self) -> None:
        """Send the comparisons on whose contenders are all built; one that does not build any more drops out."""
        for comparison in [one for one in self._building if all(built.done() for built in one.building)]:
            self._building.remove(comparison)
            every = zip(comparison.contenders, comparison.libs, comparison.args, strict=True)
            there = [(trial, lib, args) for trial, lib, args in every if lib.is_file()]
            comparison.contenders = [trial for trial, _, _ in there]
            if not there:
                self._under_way.discard(comparison.workload)
                continue
            candidates = [(lib, args) for _, lib, args in there]
            self._pipeline.compare(comparison.workload, candidates, comparison.job, comparison)

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
