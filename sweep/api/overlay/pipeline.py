"""Candidates on their way: each is built for its device and then measured there, many at a time.

One thread starts them and takes what comes of them; builds and measurements are futures of the workshop. What a
candidate is, and what is made of its times, is the caller's business.
"""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.errors import BuildFailed, DeviceLost, MeasureFailed, MeasureTimeout, SweepError
from sweep.toolchain.tuning.pool.libraries import new_folder, remove_left
from sweep.toolchain.tuning.records.overlay_records import Configuration

if TYPE_CHECKING:
    from sweep.engine.overlay_runner import OverlayRunner

__all__ = ["BuildMeasurePipeline", "Completed", "Request"]

_TIMED: Mapping[str, Any] = {"number": 1, "repeat": 3, "min_repeat_ms": 10, "timeout_s": 30.0}
"""As tuners time candidates by default."""
_IN_TURNS: Mapping[str, Any] = {"rounds": 10, "number": 1, "repeat": 1, "min_repeat_ms": 10}
_TURNS_TIMEOUT_S = 30.0
"""For each of those that take turns."""
_LOST_IN_A_ROW = 3
_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Request:
    """A configuration that is to be timed on a device, or several of one workload, in turns."""

    seat: OverlayTarget
    configurations: Sequence[Configuration]
    slow_s: float | None = None
    """One call is all for a candidate that is slower; not for several."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What came of a job."""

    job: Request
    result: Mapping[str, Any] | None
    """`run_secs` (a list for each, where they took turns) and `seconds`."""
    error: SweepError | None
    """Why there is no result: the code is to blame, or what the device made of it."""
    build_s: float


@dataclass(slots=True)
class _InFlight:
    """A job under way."""

    job: Request
    libs: list[Path]
    args: list[Any]
    building: int
    """Builds that have not ended."""
    build_s: float = 0.0
    error: SweepError | None = None
    tries: int = 0


@dataclass(slots=True)
class BuildMeasurePipeline:
    """A context manager: leaving it removes what was built."""

    workshop: OverlayRunner
    folder: Path
    """Where a folder for libraries is made; what a killed overlay has left there goes."""
    tick: Callable[[], None]
    """Called now and then while there is nothing to do but wait."""
    _scratch: Path = field(init=False)
    _made: int = 0
    _under_way: int = 0
    _lost: dict[str, int] = field(default_factory=dict)
    _answers: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    _ended: list[Completed] = field(default_factory=list)

    def __enter__(self) -> Self:
        remove_left(self.folder)
        self._scratch = new_folder(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def perform(self, jobs: Iterator[Request], room: int) -> Iterator[Completed]:
        """Perform jobs, `room` at a time, and give each as it ends. Jobs are asked for when there is room.

        Raises:
            DeviceLost: a device stays away.
            SweepError: what is no candidate's fault, such as a forge that has ended.
        """
        more = True
        while more or self._under_way:
            while more and self._under_way < room:
                job = next(jobs, None)
                more = job is not None
                if job is not None:
                    self._start(job)
            if self._under_way:
                self._wait()
            ended, self._ended = self._ended, []
            yield from ended

    def _wait(self) -> None:
        with suppress(queue.Empty):
            self._answers.get(timeout=_PATIENCE_S)()
        self.tick()

    def _start(self, job: Request) -> None:
        self._under_way += 1
        numbers = range(self._made, self._made + len(job.configurations))
        self._made += len(job.configurations)
        libs = [self._scratch / f"{number}.so" for number in numbers]
        going = _InFlight(job, libs, [None for _ in libs], len(libs))
        for index, (one, lib) in enumerate(zip(job.configurations, libs, strict=True)):
            future = self.workshop.build(one.native, job.seat.key, job.seat.target, lib)
            self._follow(future, self._built, going, index)

    def _built(self, future: Future[dict[str, Any]], going: _InFlight, index: int) -> None:
        going.building -= 1
        error = future.exception()
        if error is None:
            going.args[index] = future.result()["args"]
            going.build_s += float(future.result()["build_s"])
        else:
            going.error = _blamed(error)
        if not going.building:
            self._measure(going) if going.error is None else self._end(going, None)

    def _measure(self, going: _InFlight) -> None:
        key = going.job.seat.key
        if len(going.libs) == 1:
            future = self.workshop.time(key, going.libs[0], going.args[0], {**_TIMED, "slow_s": going.job.slow_s})
        else:
            candidates = list(zip(going.libs, going.args, strict=True))
            options = {**_IN_TURNS, "timeout_s": _TURNS_TIMEOUT_S * len(candidates)}
            future = self.workshop.compare(key, candidates, options)
        self._follow(future, self._measured, going)

    def _measured(self, future: Future[dict[str, Any]], going: _InFlight) -> None:
        error, key = future.exception(), going.job.seat.key
        going.tries += 1
        self._lost[key] = self._lost.get(key, 0) + 1 if isinstance(error, DeviceLost) else 0
        if isinstance(error, DeviceLost) and going.tries == 1 and self._lost[key] < _LOST_IN_A_ROW:
            self._measure(going)
            return
        going.error = None if error is None else _blamed(error)
        self._end(going, None if error is not None else future.result())

    def _end(self, going: _InFlight, result: Mapping[str, Any] | None) -> None:
        self._under_way -= 1
        for lib in going.libs:
            lib.unlink(missing_ok=True)
        self._ended.append(Completed(going.job, result, going.error, going.build_s))

    def _follow(self, future: Future[Any], take: Callable[..., None], *known: Any) -> None:
        """Have the future's end taken in the thread that performs, when it comes."""
        future.add_done_callback(lambda done: self._answers.put(lambda: take(done, *known)))


def _blamed(error: BaseException) -> SweepError:
    """The error that a candidate is to blame for; raises any other."""
    if isinstance(error, BuildFailed | MeasureFailed | MeasureTimeout):
        return error
    raise error
