"""Trials of a pool: a search's candidate becomes a request, and its answer a record, the moment it arrives."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sweep.errors import cut_to_length, last_line
from sweep.toolchain.candidates.libraries import Libraries
from sweep.toolchain.candidates.requests import CompletedTrial, Contender, TrialRequest
from sweep.toolchain.candidates.service import scheduled_module
from sweep.toolchain.candidates.timing_figures import TUNER_SLOW, slow_from_s
from sweep.toolchain.tuning.job import TuneJob
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.trial_logs import Trial
from sweep.toolchain.tuning.space.workload_search import Candidate, WorkloadSearch

__all__ = ["PoolCandidate", "TrialRecorder"]


@dataclass(frozen=True, slots=True)
class PoolCandidate:
    """A candidate, who proposed it, and for which job."""

    candidate: Candidate
    search: WorkloadSearch
    job: TuneJob


class TrialRecorder:
    """Writes each trial to the pool's records and books, and tells its search of it."""

    def __init__(self, store: RecordStore, target_json: str, accounts: Accounts, libraries: Libraries) -> None:
        """`libraries`: of the pipeline; the best few of a workload stay in it."""
        self._store, self._target_json = store, target_json
        self._accounts, self._libraries = accounts, libraries

    def request(self, search: WorkloadSearch, candidate: Candidate, job: TuneJob) -> TrialRequest[PoolCandidate]:
        """What the pipeline is asked."""
        source = scheduled_module(candidate.module_json)
        return TrialRequest(
            job.device,
            Contender(PoolCandidate(candidate, search, job), source, candidate.args),
            job.timing,
            job.build_timeout_s,
            slow_s=lambda: slow_from_s(self._store.of(candidate.workload).best_s, TUNER_SLOW),
        )

    def record(self, completed: CompletedTrial[PoolCandidate]) -> Trial:
        """Record one trial."""
        error, candidate, search = completed.error, completed.subject.candidate, completed.subject.search
        trial = Trial(
            workload=candidate.workload,
            task=search.name,
            trial=self._store.trials + 1,
            tuner=completed.subject.job.tuner,
            device=completed.subject.job.device,
            target=self._target_json,
            t=time.time(),
            run_secs=completed.run_secs,
            error_class=None if error is None else type(error).__name__,
            error=None if error is None else cut_to_length(last_line(error)),
            build_s=completed.build_s,
            measure_s=completed.measure_s,
            trace_hash=candidate.trace_hash,
            design=candidate.carried_out[0],
            decisions=search.decisions(candidate),
            origin=candidate.origin,
        )
        with self._accounts.searching(candidate.workload):
            self._store.add(trial, search.record(candidate, trial.run_secs) if trial.run_secs else None)
            if trial.is_lost:  # which says nothing of the candidate
                search.try_again(candidate)
            else:
                search.tell(candidate, trial.median_s)
        self._accounts.book_build(candidate.workload, completed.build_s or 0.0)
        self._accounts.book_measure(candidate.workload, completed.measure_s or 0.0)
        self._accounts.book_trial(candidate.workload, trial.error_class, trial.origin)
        self._libraries.keep(candidate.workload, trial.trace_hash, trial.median_s, completed.lib)
        return trial
