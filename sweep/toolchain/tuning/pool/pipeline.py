"""Candidates under way: each is built, then measured, then recorded the moment its answer arrives.

A built candidate is handed to the device from the laboratory's own thread, also while the search works. A candidate
that hangs, crashes or exhausts memory costs only itself; a device that answers nobody ends the pool, and the retry is
the policy's.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import DeviceLost, SweepError
from sweep.toolchain.tuning.job import Arguments, CandidateService, TuneJob
from sweep.toolchain.tuning.pool.accounts import Accounts
from sweep.toolchain.tuning.pool.libraries import Libraries
from sweep.toolchain.tuning.records.trial_logs import Trial
from sweep.toolchain.tuning.space.workload_search import Candidate, WorkloadSearch

if TYPE_CHECKING:
    from sweep.toolchain.tuning.tuning_session import TuningSession

__all__ = ["Answer", "Pipeline", "last_line"]

_LOST_IN_A_ROW = 4  # candidates that find no device before the pool gives up and leaves the retry to the policy
# One call says enough of a candidate that takes longer than this: it will not be among those that are measured again
# (1.25 times the best). A single call of a kernel of microseconds may be late by some tens of them.
_OUT_OF_THE_RUNNING = 1.4
_LATE_S = 50e-6
_IN_TURNS: Mapping[str, Any] = {"rounds": 10, "number": 1, "repeat": 1}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a candidate, or of a comparison of several."""

    workload: str
    search: WorkloadSearch | None
    candidate: Candidate | None
    job: TuneJob
    lib: Path
    outcome: dict[str, Any] | BaseException
    build_s: float | None
    validation: Any = None
    """What a re-validation asked for; None for a trial."""


class Pipeline:
    """Builds and measurements of one pool."""

    _laboratory: CandidateService

    def __init__(self, tuner: TuningSession) -> None:
        self._tuner = tuner
        self.libraries = Libraries(tuner.store.folder)
        self.accounts = Accounts()
        self.build_slots = 1
        self.in_flight = 0
        self._lost_in_a_row = 0
        self._generation = 0
        self._arrivals: deque[tuple[int, Answer]] = deque()
        self._arrived = threading.Event()

    def begin(self, laboratory: CandidateService) -> None:
        """Take up work in a laboratory, with new books."""
        self._laboratory = laboratory
        self.build_slots = max(1, laboratory.build_slots)
        self.accounts = Accounts()

    # -- out ----------------------------------------------------------------------------------------------------------

    def send(self, search: WorkloadSearch, candidate: Candidate, job: TuneJob) -> None:
        """Build and measure a candidate."""
        lib, built = self.build(candidate, job)
        self.in_flight += 1
        send = partial(Answer, candidate.workload, search, candidate, job, lib)
        built.add_done_callback(partial(self._built, send, candidate, job, lib, self._generation))

    def build(self, candidate: Candidate, job: TuneJob) -> tuple[Path, Future[dict[str, Any]]]:
        """Build a candidate into a file of its own."""
        lib = self.libraries.new()
        return lib, self._laboratory.build(candidate.module_json, lib, float(job.options["builder_timeout_s"]))

    def compare(
        self, workload: str, candidates: Sequence[tuple[Path, Arguments]], job: TuneJob, validation: Any
    ) -> None:
        """Measure candidates in turns."""
        self.in_flight += 1
        options = {**measure_options(job.options), **_IN_TURNS}
        options["timeout_s"] = options["timeout_s"] * len(candidates)
        send = partial(Answer, workload, None, None, job, candidates[0][0], build_s=None, validation=validation)
        self._measure(lambda: self._laboratory.compare(candidates, options), send, self._generation)

    # -- in -----------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let `answers` return."""
        self._arrived.set()

    def answers(self, timeout_s: float) -> list[Answer]:
        """What has arrived; waits for a first one."""
        if timeout_s and not self._arrivals:
            self._arrived.wait(timeout_s)
        self._arrived.clear()
        found = []
        while self._arrivals:
            generation, answer = self._arrivals.popleft()
            if generation == self._generation:
                self.in_flight -= 1
                found.append(answer)
        return found

    def abandon(self) -> None:
        """Forget what is under way; its answers are dropped when they come."""
        self._generation += 1
        self.in_flight = self._lost_in_a_row = 0
        self.libraries.clear()

    def keep(self, answer: Answer) -> Trial:
        """Record one trial, at once, and tell its search what became of it."""
        outcome, candidate, search = answer.outcome, answer.candidate, answer.search
        assert candidate is not None
        assert search is not None
        if isinstance(outcome, BaseException) and not isinstance(outcome, SweepError):
            raise outcome  # a bug, not a failed candidate
        self._watch_device(outcome)
        error, measured = (outcome, None) if isinstance(outcome, BaseException) else (None, outcome)
        run_secs = None if measured is None else tuple(float(s) for s in measured["run_secs"])
        measure_s = None if measured is None else float(measured["seconds"])
        store = self._tuner.store
        trial = Trial(
            workload=candidate.workload,
            task=search.name,
            trial=store.trials + 1,
            tuner=answer.job.tuner,
            device=answer.job.device,
            target=self._tuner.target_json,
            t=time.time(),
            run_secs=run_secs,
            error_class=None if error is None else type(error).__name__,
            error=None if error is None else last_line(error),
            build_s=answer.build_s,
            measure_s=measure_s,
            trace_hash=candidate.trace_hash,
            design=candidate.carried_out[0],
            decisions=search.decisions(candidate),
            origin=candidate.origin,
        )
        with self.accounts.searching(candidate.workload):
            store.add(trial, search.record(candidate, run_secs) if run_secs else None)
            if not trial.is_lost:  # which says nothing of the candidate
                search.tell(candidate, trial.median_s)
        self.accounts.book_build(candidate.workload, answer.build_s or 0.0)
        self.accounts.book_measure(candidate.workload, measure_s or 0.0)
        self.accounts.book_trial(candidate.workload, trial.error_class, trial.origin)
        self.libraries.keep(trial, answer.lib)
        return trial

    # -- in the laboratory's threads ----------------------------------------------------------------------------------

    def _built(
        self,
        send: partial[Answer],
        candidate: Candidate,
        job: TuneJob,
        lib: Path,
        generation: int,
        future: Future[dict[str, Any]],
    ) -> None:
        error = future.exception()
        if error is not None:
            self._arrive(generation, send(error, None))
            return

        def begin() -> Future[dict[str, Any]]:
            options = {**measure_options(job.options), "slow_s": self._slow_s(candidate.workload)}
            return self._laboratory.measure(lib, candidate.args, options)

        self._measure(begin, partial(send, build_s=float(future.result()["build_s"])), generation)

    def _measure(
        self, begin: Callable[[], Future[dict[str, Any]]], send: partial[Answer], generation: int, tries: int = 1
    ) -> None:
        """What is lost with its board is measured once more."""
        if generation != self._generation:
            return
        try:
            measured = begin()
        except Exception as problem:  # noqa: BLE001 - an error in a callback would be lost, and the candidate with it
            self._arrive(generation, send(problem))
            return

        def arrived(done: Future[dict[str, Any]]) -> None:
            problem = done.exception()
            if isinstance(problem, DeviceLost) and tries == 1:
                self._measure(begin, send, generation, tries=2)
                return
            self._arrive(generation, send(done.result() if problem is None else problem))

        measured.add_done_callback(arrived)

    def _slow_s(self, workload: str) -> float | None:
        best_s = self._tuner.store.of(workload).best_s
        return _OUT_OF_THE_RUNNING * best_s + _LATE_S if math.isfinite(best_s) else None

    def _arrive(self, generation: int, answer: Answer) -> None:
        self._arrivals.append((generation, answer))
        self._arrived.set()

    def _watch_device(self, outcome: dict[str, Any] | BaseException) -> None:
        self._lost_in_a_row = self._lost_in_a_row + 1 if isinstance(outcome, DeviceLost) else 0
        if self._lost_in_a_row >= _LOST_IN_A_ROW and isinstance(outcome, DeviceLost):
            raise outcome


def measure_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of a candidate's measurement, from the tuner's options."""
    return {
        "number": int(options.get("number", 1)),
        "repeat": int(options.get("repeat", 3)),
        "min_repeat_ms": int(options.get("min_repeat_ms", 10)),
        "timeout_s": float(options.get("runner_timeout_s", 10.0)),
    }


def last_line(error: BaseException) -> str:
    """The last line of what an error says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
