"""One tune stage: search, build and measurement of all tasks of a lowered module, overlapped.

While one round of candidates is built and measured the search for the next task's round goes on. Each measurement is
recorded the moment it arrives, so a tuner that is killed loses only what was under way.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import DeviceLost, SweepError
from sweep.toolchain.tuning.job import Laboratory, TuneJob, TuningTask
from sweep.toolchain.tuning.records import Trial
from sweep.toolchain.tuning.search import Candidate, Search

if TYPE_CHECKING:
    from sweep.toolchain.tuning.tuner import Tuner

__all__ = ["Session", "last_line"]

_ROUNDS_IN_FLIGHT = 2  # one being built and measured, one queued behind it; more would search with stale knowledge
_LOST_IN_A_ROW = 4  # candidates that find no device before the stage gives up and leaves the retry to the policy


@dataclass(slots=True)
class _Round:
    search: Search
    candidates: Sequence[Candidate]
    outcomes: list[tuple[Candidate, Sequence[float] | None, str | None]] = field(default_factory=list)


@dataclass(slots=True)
class _Spent:
    build_s: float = 0.0
    measure_s: float = 0.0
    search_s: float = 0.0


class Session:
    """The state of one `tune` call."""

    def __init__(
        self,
        tuner: Tuner,
        job: TuneJob,
        laboratory: Laboratory,
        report: Callable[[Mapping[str, Any]], None],
        scratch: Path,
    ) -> None:
        self.tuner, self.job, self.laboratory, self.report, self.scratch = tuner, job, laboratory, report, scratch
        self.store = tuner.store
        self.spent = _Spent()
        self.failures: Counter[str] = Counter()
        self.curve: list[tuple[int, float, float]] = []
        self.started = time.monotonic()
        self.wanted = 0
        self.new_trials = 0
        self.new_valid = 0
        self.lost_in_a_row = 0
        self.rounds: dict[str, _Round] = {}
        self.arrivals: deque[tuple[_Round, Candidate, dict[str, Any] | BaseException, float | None]] = deque()
        self.arrived = threading.Event()
        self.candidates_made = 0
        self.had = {task.workload: self.store.of(task.workload).trials for task in job.tasks}

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        work = self._tasks_with_work()
        self.wanted = sum(wanted for _, wanted in work)
        waiting = deque(work)
        searches: deque[Search] = deque()
        self._report()
        while waiting or searches or self.rounds:
            while (waiting or searches) and len(self.rounds) < _ROUNDS_IN_FLIGHT and not self._out_of_time():
                # New tasks first: every task has its first round before any has its second
                begun = time.monotonic()
                if waiting:
                    task, wanted = waiting.popleft()
                    search = self.tuner.search_for(task, wanted, self.job.seed)
                else:
                    search = searches.popleft()
                candidates = search.ask()
                self.spent.search_s += time.monotonic() - begun
                if candidates:
                    self._send(_Round(search, candidates))
                else:
                    search.close()
                self._take_arrivals(searches)
            if self._out_of_time():
                waiting.clear()
                searches.clear()
            if self.rounds:
                self.arrived.wait(timeout=1.0)
                self._take_arrivals(searches)
            self._report()
        return self._result()

    def _tasks_with_work(self) -> list[tuple[TuningTask, int]]:
        options = self.job.options
        per_task = int(options["trials_per_task"])
        total = options.get("trials_total")
        room = int(total) if total is not None else None
        work = []
        for task in self.job.tasks:
            wanted = (1 if task.trivial else per_task) - self.store.of(task.workload).trials
            if room is not None:
                wanted = min(wanted, room)
                room -= max(0, wanted)
            if wanted > 0 and not self._is_stuck(task.workload):
                work.append((task, wanted))
        return work

    def _is_stuck(self, workload: str) -> bool:
        """Whether early stopping ends this task: so many trials since its best one."""
        patience = self.job.options.get("early_stopping")
        return patience is not None and self.store.of(workload).since_best >= int(patience)

    def _out_of_time(self) -> bool:
        hours = self.job.options.get("hours")
        return hours is not None and time.monotonic() - self.started > float(hours) * 3600.0

    # -- sending a round out and taking its answers in ----------------------------------------------------------------

    def _send(self, round_: _Round) -> None:
        self.rounds[round_.search.workload] = round_
        for candidate in round_.candidates:
            self.candidates_made += 1
            lib = self.scratch / f"{self.candidates_made}.so"
            built = self.laboratory.build(
                candidate.module_json, lib, float(self.job.options.get("builder_timeout_s", 30.0))
            )
            built.add_done_callback(partial(self._built, round_, candidate, lib, 1))

    def _built(
        self, round_: _Round, candidate: Candidate, lib: Path, tries: int, future: Future[dict[str, Any]]
    ) -> None:
        """Runs in the laboratory's thread: hands a built candidate on to the device at once, also during a search."""
        error = future.exception()
        if error is not None:
            self._arrive(round_, candidate, error, None)
            return
        build_s = float(future.result()["build_s"])
        try:
            measured = self.laboratory.measure(lib, candidate.args, _measure_options(self.job.options))
        except Exception as problem:  # noqa: BLE001 - an error in a callback would be lost, and the round never end
            self._arrive(round_, candidate, problem, build_s)
            return
        measured.add_done_callback(lambda done: self._measured(round_, candidate, lib, future, done, build_s, tries))

    def _measured(
        self,
        round_: _Round,
        candidate: Candidate,
        lib: Path,
        built: Future[dict[str, Any]],
        future: Future[dict[str, Any]],
        build_s: float,
        tries: int,
    ) -> None:
        error = future.exception()
        if isinstance(error, DeviceLost) and tries == 1:
            self._built(round_, candidate, lib, 2, built)
            return
        lib.unlink(missing_ok=True)
        self._arrive(round_, candidate, error if error is not None else future.result(), build_s)

    def _arrive(
        self, round_: _Round, candidate: Candidate, answer: dict[str, Any] | BaseException, build_s: float | None
    ) -> None:
        self.arrivals.append((round_, candidate, answer, build_s))
        self.arrived.set()

    def _take_arrivals(self, searches: deque[Search]) -> None:
        self.arrived.clear()
        while self.arrivals:
            round_, candidate, answer, build_s = self.arrivals.popleft()
            self._keep(round_, candidate, answer, build_s)
            if len(round_.outcomes) == len(round_.candidates):
                begun = time.monotonic()
                del self.rounds[round_.search.workload]
                round_.search.tell(round_.outcomes)
                self.spent.search_s += time.monotonic() - begun
                if self._is_stuck(round_.search.workload):
                    round_.search.close()
                else:
                    searches.append(round_.search)

    def _keep(
        self, round_: _Round, candidate: Candidate, answer: dict[str, Any] | BaseException, build_s: float | None
    ) -> None:
        """Record one trial, at once."""
        if isinstance(answer, BaseException) and not isinstance(answer, SweepError):
            raise answer  # a bug, not a failed candidate
        self._watch_device(answer)
        run_secs = None if isinstance(answer, BaseException) else tuple(float(s) for s in answer["run_secs"])
        error = last_line(answer) if isinstance(answer, BaseException) else None
        measure_s = None if isinstance(answer, BaseException) else float(answer["seconds"])
        search = round_.search
        trial = Trial(
            workload=search.workload,
            task=search.name,
            trial=self.store.trials + 1,
            tuner=self.job.tuner,
            device=self.job.device,
            target=self.tuner.target_json,
            t=time.time(),
            run_secs=run_secs,
            error_class=type(answer).__name__ if isinstance(answer, BaseException) else None,
            error=error,
            build_s=build_s,
            measure_s=measure_s,
            trace_hash=candidate.trace_hash,
        )
        self.store.add(trial, search.record(candidate, run_secs) if run_secs else None)
        round_.outcomes.append((candidate, run_secs, error))
        self.new_trials += 1
        self.new_valid += run_secs is not None
        self.spent.build_s += build_s or 0.0
        self.spent.measure_s += measure_s or 0.0
        if trial.error_class is not None:
            self.failures[trial.error_class] += 1
        self._extend_curve()

    def _watch_device(self, answer: dict[str, Any] | BaseException) -> None:
        self.lost_in_a_row = self.lost_in_a_row + 1 if isinstance(answer, DeviceLost) else 0
        if self.lost_in_a_row >= _LOST_IN_A_ROW and isinstance(answer, DeviceLost):
            raise answer

    # -- what has been reached ----------------------------------------------------------------------------------------

    def _estimate_s(self) -> float | None:
        """Sum of best times by weight; None while a task has no valid trial."""
        total = 0.0
        for task in self.job.tasks:
            history = self.store.of(task.workload)
            if history.valid == 0:
                return None
            total += task.weight * history.best_s
        return total

    def _extend_curve(self) -> None:
        estimate = self._estimate_s()
        if estimate is not None and (not self.curve or estimate < self.curve[-1][2]):
            self.curve.append((self.new_trials, round(time.monotonic() - self.started, 3), estimate))

    def _report(self) -> None:
        self.report(
            {
                "label": self.job.label,
                "trials": self.new_trials,
                "trials_total": self.wanted,
                "valid": self.new_valid,
                "best_estimate_s": self.curve[-1][2] if self.curve else None,
                "tasks": len(self.job.tasks),
                "tasks_covered": sum(1 for task in self.job.tasks if self.store.of(task.workload).valid),
                "in_flight": sum(len(r.candidates) - len(r.outcomes) for r in self.rounds.values()),
            }
        )

    def _result(self) -> dict[str, Any]:
        tasks = []
        for task in self.job.tasks:
            history = self.store.of(task.workload)
            tasks.append(
                {
                    "workload": task.workload,
                    "name": task.name,
                    "weight": task.weight,
                    "trials": history.trials,
                    "valid": history.valid,
                    "best_s": history.best_s if history.valid else None,
                    "reused": self.had[task.workload] > 0 and history.trials == self.had[task.workload],
                }
            )
        return {
            "trials": self.new_trials,
            "valid": self.new_valid,
            "failed": dict(self.failures),
            "tasks": tasks,
            "search_s": round(self.spent.search_s, 3),
            "build_s": round(self.spent.build_s, 3),
            "measure_s": round(self.spent.measure_s, 3),
            "tuning_s": round(time.monotonic() - self.started, 3),
            "curve": [list(point) for point in self.curve],
        }


def _measure_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": int(options.get("number", 1)),
        "repeat": int(options.get("repeat", 3)),
        "min_repeat_ms": int(options.get("min_repeat_ms", 10)),
        "timeout_s": float(options.get("runner_timeout_s", 10.0)),
    }


def last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
