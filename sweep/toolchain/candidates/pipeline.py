"""Candidates under way: each is built and then timed, and so are several that are compared in turns.

What is built goes to its device from the builder's own thread, so that the device is kept busy while the caller thinks.
The rules are the same for all who tune or overlay:

- A candidate that does not build, crashes or takes too long costs only itself. In a comparison the others go on.
- What is lost with its board is timed once more, and what is lost with its builder or compile server is built once
  more; lost again, it says nothing of the candidate. One whose worker is killed each time is to blame: it may have
  taken all memory.
- A device that loses `LOST_IN_A_ROW` requests in a row, each of them twice, is away: that ends the work.
- An error that is neither a candidate's nor a device's fault ends the work.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from sweep.errors import LOST, BuildFailed, DeviceLost, MeasureFailed, MeasureTimeout, SweepError, WorkerKilled
from sweep.toolchain.candidates.libraries import Libraries
from sweep.toolchain.candidates.requests import (
    ComparisonRequest,
    CompletedComparison,
    CompletedTrial,
    Contender,
    TrialRequest,
)
from sweep.toolchain.candidates.service import Arguments, CandidateService

__all__ = ["LOST_IN_A_ROW", "BuildMeasurePipeline"]

LOST_IN_A_ROW = 4
"""Requests that find no device or builder, each twice, before the pipeline leaves the retry to the policy of stages: a
board that reboots loses those that wait for it at that moment, and one that stays away should not cost a whole list.
"""
_TRIES = 2
"""Times that a build or a measurement is begun which is lost with who does it."""
_WAIT_S = 0.5
"""How long to wait for an answer before the caller's `tick`."""
_CANDIDATES_FAULT = (BuildFailed, MeasureFailed, MeasureTimeout)

T = TypeVar("T")
C = TypeVar("C")


@dataclass(slots=True)
class _InFlight(Generic[T, C]):
    """A request under way. Its builds end in several threads."""

    request: TrialRequest[T] | ComparisonRequest[C]
    generation: int
    libs: list[Path]
    args: list[Arguments | None]
    building: int
    """Builds that have not ended."""
    build_s: float | None = None
    errors: dict[int, BaseException] = field(default_factory=dict)
    """Of builds, by the candidate's index."""
    tries: int = 0
    """Measurements begun."""
    builds: int = 1
    """Times that builds were begun."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def built(self) -> list[int]:
        return [index for index in range(len(self.libs)) if index not in self.errors]


class BuildMeasurePipeline(Generic[T, C]):
    """Builds and measurements on any number of devices; T and C are what the caller knows trials and contenders by.

    One thread submits and takes answers; `wake` may be called from any.
    """

    def __init__(self, libraries: Libraries) -> None:
        self.libraries = libraries
        self.in_flight = 0
        """Requests whose answers were not taken."""
        self._services: Mapping[str, CandidateService] = {}
        self._lost_in_a_row: Counter[str] = Counter()
        self._generation = 0
        self._arrivals: deque[tuple[_InFlight[T, C], Mapping[str, Any] | BaseException]] = deque()
        self._arrived = threading.Event()

    def begin(self, services: Mapping[str, CandidateService]) -> None:
        """Take up work, with a service for each device."""
        self._services = services

    def expect(self, seconds: float) -> None:
        """Have the devices keep themselves ready for candidates that come within so many seconds; 0: none do."""
        for service in self._services.values():
            service.expect(seconds)

    # -- out ----------------------------------------------------------------------------------------------------------

    def submit(self, request: TrialRequest[T] | ComparisonRequest[C]) -> None:
        """Build what is to be built of a request, and time it then."""
        candidates: Sequence[Contender[T] | Contender[C]]
        candidates = [request.candidate] if isinstance(request, TrialRequest) else list(request.candidates)
        libs = [self.libraries.new() if candidate.lib is None else candidate.lib for candidate in candidates]
        to_build = [index for index, candidate in enumerate(candidates) if candidate.lib is None]
        args = [candidate.args for candidate in candidates]
        under_way = _InFlight(request, self._generation, libs, args, len(to_build))
        self.in_flight += 1
        if not to_build:
            self._measure(under_way)
        self._build(under_way, to_build)

    def perform(
        self,
        requests: Iterator[TrialRequest[T] | ComparisonRequest[C]],
        room: int,
        tick: Callable[[], None] = lambda: None,
    ) -> Iterator[CompletedTrial[T] | CompletedComparison[C]]:
        """Perform a list of requests, `room` at a time, and give each answer as it comes. Requests are asked for when
        there is room. `tick` is called now and then meanwhile. Raises what `answers` raises.
        """
        more = True
        while more or self.in_flight:
            while more and self.in_flight < room:
                request = next(requests, None)
                more = request is not None
                if request is not None:
                    self.submit(request)
            if self.in_flight:
                yield from self.answers(_WAIT_S)
            tick()

    # -- in -----------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let `answers` return."""
        self._arrived.set()

    def answers(self, timeout_s: float) -> Iterator[CompletedTrial[T] | CompletedComparison[C]]:
        """What has arrived; waits for a first one.

        Raises:
            DeviceLost, CompilerLost, EngineError: a device or the builders stay away.
            Exception: what is neither a candidate's nor a device's fault, such as a compile pool that has ended.
        """
        if timeout_s and not self._arrivals:
            self._arrived.wait(timeout_s)
        self._arrived.clear()
        while self._arrivals:
            under_way, outcome = self._arrivals.popleft()
            if under_way.generation != self._generation or self._is_built_again(under_way):
                continue
            self.in_flight -= 1
            self._watch_device(under_way.request.device, outcome)
            yield self._completed(under_way, outcome)

    def abandon(self) -> None:
        """Forget what is under way, whose answers are dropped when they come, and remove what was built."""
        self._generation += 1
        self.in_flight = 0
        self._lost_in_a_row.clear()
        self.libraries.clear()

    def _watch_device(self, device: str, outcome: Mapping[str, Any] | BaseException) -> None:
        if not isinstance(outcome, LOST):
            self._lost_in_a_row[device] = 0
            return
        self._lost_in_a_row[device] += 1
        if self._lost_in_a_row[device] >= LOST_IN_A_ROW:
            raise outcome

    def _completed(
        self, under_way: _InFlight[T, C], outcome: Mapping[str, Any] | BaseException
    ) -> CompletedTrial[T] | CompletedComparison[C]:
        request, result = under_way.request, None
        error: SweepError | None = None
        if not isinstance(outcome, BaseException):
            result = outcome
        elif isinstance(outcome, WorkerKilled):
            error = MeasureFailed(str(outcome))  # each time
        elif isinstance(outcome, (*_CANDIDATES_FAULT, *LOST)):
            error = outcome
        else:
            raise outcome
        measure_s = None if result is None else float(result["seconds"])
        if isinstance(request, TrialRequest):
            run_secs = None if result is None else tuple(float(value) for value in result["run_secs"])
            return CompletedTrial(request, under_way.libs[0], under_way.build_s, run_secs, measure_s, error)
        for candidate, lib in zip(request.candidates, under_way.libs, strict=True):
            if candidate.lib is None:
                lib.unlink(missing_ok=True)
        if result is None:
            return CompletedComparison(request, error=error)
        compared = [request.candidates[index].subject for index in under_way.built]
        each = [tuple(float(value) for value in values) for values in result["run_secs"]]
        return CompletedComparison(request, compared, each, measure_s)

    def _build(self, under_way: _InFlight[T, C], indices: Sequence[int]) -> None:
        request = under_way.request
        candidates = [request.candidate] if isinstance(request, TrialRequest) else request.candidates
        service = self._services[request.device]
        for index in indices:
            built = service.build(candidates[index].source, under_way.libs[index], request.build_timeout_s)
            built.add_done_callback(partial(self._built, under_way, index))

    def _is_built_again(self, under_way: _InFlight[T, C]) -> bool:
        """Begin the builds again that were lost, the first time; whether the request is under way again."""
        lost = [index for index, error in under_way.errors.items() if isinstance(error, (*LOST, WorkerKilled))]
        killed = [index for index in lost if isinstance(under_way.errors[index], WorkerKilled)]
        if under_way.builds < _TRIES and lost:
            under_way.builds += 1
            under_way.building = len(lost)
            for index in lost:
                del under_way.errors[index]
            self._build(under_way, lost)
            return True
        for index in killed:
            under_way.errors[index] = BuildFailed(str(under_way.errors[index]))
        if killed:
            self._all_built(under_way)
        return bool(killed)

    # -- in the service's threads -------------------------------------------------------------------------------------

    def _built(self, under_way: _InFlight[T, C], index: int, future: Future[dict[str, Any]]) -> None:
        error = _error_of(future)
        with under_way.lock:
            under_way.building -= 1
            if error is not None:
                under_way.errors[index] = error
            else:
                result = future.result()
                under_way.build_s = (under_way.build_s or 0.0) + float(result["build_s"])
                under_way.args[index] = under_way.args[index] or result.get("args")
            if under_way.building:
                return
        self._all_built(under_way)

    def _all_built(self, under_way: _InFlight[T, C]) -> None:
        nobodys = next((e for e in under_way.errors.values() if not isinstance(e, BuildFailed)), None)
        if nobodys is not None or not under_way.built:
            self._arrive(under_way, nobodys or under_way.errors[0])
        else:
            self._measure(under_way)

    def _measure(self, under_way: _InFlight[T, C]) -> None:
        if under_way.generation != self._generation:
            return
        under_way.tries += 1
        try:
            measured = self._begin(under_way)
        except Exception as problem:  # noqa: BLE001 - an error in a callback would be lost, and the candidate with it
            self._arrive(under_way, problem)
        else:
            measured.add_done_callback(partial(self._measured, under_way))

    def _begin(self, under_way: _InFlight[T, C]) -> Future[dict[str, Any]]:
        request = under_way.request
        service = self._services[request.device]
        built = [(under_way.libs[index], under_way.args[index] or []) for index in under_way.built]
        if isinstance(request, TrialRequest):
            return service.measure(*built[0], request.timing.alone(request.slow_s()))
        return service.compare(built, request.timing.in_turns(len(built)))

    def _measured(self, under_way: _InFlight[T, C], future: Future[dict[str, Any]]) -> None:
        error = _error_of(future)
        if isinstance(error, (DeviceLost, WorkerKilled)) and under_way.tries < _TRIES:
            self._measure(under_way)
        else:
            self._arrive(under_way, future.result() if error is None else error)

    def _arrive(self, under_way: _InFlight[T, C], outcome: Mapping[str, Any] | BaseException) -> None:
        self._arrivals.append((under_way, outcome))
        self._arrived.set()


def _error_of(future: Future[Any]) -> BaseException | None:
    """What a future that has ended raised. One is cancelled where its service is closed."""
    return CancelledError() if future.cancelled() else future.exception()
