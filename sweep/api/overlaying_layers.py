"""Measuring the candidates of an overlay, layer by layer, until nothing is missing.

One thread decides and writes; builds and measurements are futures of the workshop. Each answer is on disk before the
next one is looked at, so a kill loses what was under way and nothing else.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.missing import contest, gaps
from sweep.api.overlaying_schedules import Schedules
from sweep.api.overlaying_seats import Seat
from sweep.errors import BuildFailed, DeviceLost, MeasureFailed, MeasureTimeout, SweepError
from sweep.running.signals import uninterrupted
from sweep.toolchain.tuning.overlay_records import Configuration, OverlayRecords, folder_of

if TYPE_CHECKING:
    from sweep.engine.workshop import Workshop

__all__ = ["LayerWork", "Watcher"]

_PASSES = 6
"""Of gaps and contests. Each measures what those before have brought to the top; three are the rule."""
_LOST_IN_A_ROW = 3
_TIMED: Mapping[str, Any] = {"number": 1, "repeat": 3, "min_repeat_ms": 10, "timeout_s": 30.0}
"""As tuners time candidates by default."""
_IN_TURNS: Mapping[str, Any] = {"rounds": 10, "number": 1, "repeat": 1, "min_repeat_ms": 10}
_TURNS_TIMEOUT_S = 30.0
"""For each contender."""
_SCRATCH = "overlay-candidates-"
_LATE_S = 50e-6
_OUT_OF_THE_RUNNING = 3.0
"""One call says enough of a candidate that takes so many times the device's best."""


class Watcher(Protocol):
    """Is told how far the work is."""

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        """So much is to do on each device."""

    def done(self, device: str, failed: str | None = None) -> None:
        """One of these has ended; `failed` says why it gave no time."""

    def tick(self) -> None:
        """Time has passed."""


@dataclass(slots=True)
class _Running:
    """A contest, or one candidate, on its way to a device."""

    seat: Seat
    configurations: Sequence[Configuration]
    libs: list[Path] = field(default_factory=list)
    args: list[Any] = field(default_factory=list)
    build_s: float = 0.0
    tries: int = 0


class LayerWork:
    """The measurements of one overlay's layers. A context manager: leaving it removes what was built."""

    def __init__(self, sweep_dir: Path, seats: Sequence[Seat], workshop: Workshop, watcher: Watcher) -> None:
        self._seats = {seat.key: seat for seat in seats}
        self._workshop, self._watcher = workshop, watcher
        self._stores = {
            seat.key: OverlayRecords(sweep_dir / folder_of(seat.target_hash, seat.key), seat.key, seat.target_json)
            for seat in seats
        }
        self._scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=sweep_dir / "records"))
        self._made = 0
        self._lost: dict[str, int] = {}
        self._answers: queue.SimpleQueue[tuple[Callable[[Future[Any]], None], Future[Any]]] = queue.SimpleQueue()
        self._under_way = 0
        self._uncontested: set[str] = set()
        """Workloads whose contest could not be held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, look: Callable[[], tuple[Sequence[Judgement], Schedules]]) -> None:
        """Measure until nothing is missing. look: what is known by now, with the choice of each layer.

        Raises:
            DeviceLost: a device stays away; what was measured is kept.
        """
        for _ in range(_PASSES):
            layers, schedules = look()
            if self._fill(layers, schedules):
                continue
            if not self._hold_contests(layers, schedules):
                return

    # -- what there is to do ------------------------------------------------------------------------------------------

    def _fill(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        work = list(self._gaps(layers, schedules))
        self._watcher.begin("candidates", self._counted(key for _, key, _ in work))
        out: set[tuple[str, str]] = set()

        def start(one: Configuration, key: str, slow_s: float | None) -> bool:
            if (one.workload, one.trace_hash) in out:
                self._watcher.done(key)
                return False
            self._start(_Running(self._seats[key], [one]), partial(self._time, slow_s), out)
            return True

        self._perform(deque(partial(start, *item) for item in work))
        return bool(work)

    def _gaps(
        self, layers: Sequence[Judgement], schedules: Schedules
    ) -> Iterator[tuple[Configuration, str, float | None]]:
        for layer in layers:
            times = layer.times
            for gap in gaps(times):
                one = _configuration(layer, gap.row, schedules)
                if one is not None:
                    best_s = float(layer.best_s[gap.column])
                    slow_s = None if best_s != best_s else _OUT_OF_THE_RUNNING * best_s + _LATE_S
                    yield one, times.devices[gap.column], slow_s

    def _hold_contests(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        work: list[_Running] = []
        for layer in layers:
            workload, devices = layer.times.workload, layer.times.devices
            found = contest(layer, [self._stores[key].compared(workload) for key in devices])
            if found is None or workload in self._uncontested:
                continue
            named = [_configuration(layer, row, schedules) for row in found.rows]
            rows = [one for one in named if one is not None]
            work += [_Running(self._seats[devices[column]], rows) for column in found.columns]
        self._watcher.begin("contests", self._counted(one.seat.key for one in work))

        def start(one: _Running) -> bool:
            self._start(one, self._compare, set())
            return True

        self._perform(deque(partial(start, one) for one in work))
        return bool(work)

    def _counted(self, keys: Iterator[str] | Any) -> dict[str, int]:
        found = dict.fromkeys(self._seats, 0)
        for key in keys:
            found[key] += 1
        return found

    # -- one after the other ------------------------------------------------------------------------------------------

    def _perform(self, work: deque[Callable[[], bool]]) -> None:
        """Start what fits, take answers, until all has ended."""
        room = 2 * self._workshop.build_slots + 2 * len(self._seats)
        while work or self._under_way:
            while work and self._under_way < room:
                work.popleft()()
            if not self._under_way:
                continue
            try:
                take, future = self._answers.get(timeout=0.5)
            except queue.Empty:
                self._watcher.tick()
                continue
            take(future)
            self._watcher.tick()

    def _start(self, one: _Running, then: Callable[[_Running], None], out: set[tuple[str, str]]) -> None:
        """Build all of it, then measure it."""
        self._under_way += 1
        waiting = len(one.configurations)
        failures: dict[int, SweepError] = {}
        one.args = [None] * waiting
        for index, configuration in enumerate(one.configurations):
            self._made += 1
            one.libs.append(self._scratch / f"{self._made}.so")

            def built(future: Future[Any], index: int = index) -> None:
                nonlocal waiting
                waiting -= 1
                error = future.exception()
                if error is None:
                    one.args[index] = future.result()["args"]
                    one.build_s += float(future.result()["build_s"])
                else:
                    failures[index] = _failure(error)
                if waiting == 0:
                    if failures:
                        self._end(one, failures, out)
                    else:
                        then(one)

            self._follow(self._workshop.build(configuration.native, one.seat.key, one.seat.target, one.libs[-1]), built)

    def _time(self, slow_s: float | None, one: _Running) -> None:
        options = {**_TIMED, "slow_s": slow_s}
        future = self._workshop.time(one.seat.key, one.libs[0], one.args[0], options)
        self._follow(future, partial(self._timed, one, partial(self._time, slow_s)))

    def _compare(self, one: _Running) -> None:
        candidates = list(zip(one.libs, one.args, strict=True))
        options = {**_IN_TURNS, "timeout_s": _TURNS_TIMEOUT_S * len(candidates)}
        future = self._workshop.compare(one.seat.key, candidates, options)
        self._follow(future, partial(self._timed, one, self._compare))

    def _timed(self, one: _Running, again: Callable[[_Running], None], future: Future[Any]) -> None:
        error = future.exception()
        key = one.seat.key
        if isinstance(error, DeviceLost):
            self._lost[key] = self._lost.get(key, 0) + 1
            one.tries += 1
            if one.tries == 1 and self._lost[key] < _LOST_IN_A_ROW:
                again(one)
                return
            raise error
        self._lost[key] = 0
        if error is not None:
            self._end(one, {0: _failure(error)}, set())
            return
        with uninterrupted():
            if len(one.configurations) > 1:
                self._stores[key].add_comparison(one.configurations, future.result())
            else:
                self._stores[key].add(one.configurations[0], future.result(), one.build_s)
        self._leave(one, None)

    def _end(self, one: _Running, failures: Mapping[int, SweepError], out: set[tuple[str, str]]) -> None:
        """A candidate that failed is out. A contest that failed leaves the times as they were: each had one before."""
        first = next(iter(failures.values()))
        if len(one.configurations) == 1:
            [configuration] = one.configurations
            self._stores[one.seat.key].add_failure(configuration, first, one.build_s or None)
            out.add((configuration.workload, configuration.trace_hash))
        else:
            self._uncontested.add(one.configurations[0].workload)
        self._leave(one, f"{type(first).__name__}: {first}")

    def _leave(self, one: _Running, failed: str | None) -> None:
        self._under_way -= 1
        for lib in one.libs:
            lib.unlink(missing_ok=True)
        self._watcher.done(one.seat.key, failed)

    def _follow(self, future: Future[Any], take: Callable[[Future[Any]], None]) -> None:
        """Take the future's end in this thread, when it comes."""
        future.add_done_callback(lambda done: self._answers.put((take, done)))


def _configuration(layer: Judgement, row: int, schedules: Schedules) -> Configuration | None:
    times = layer.times
    native = schedules.find(times.workload, times.configurations[row])
    if native is None:
        return None
    return Configuration(times.workload, times.layer, times.configurations[row], native)


def _failure(error: BaseException) -> SweepError:
    """The error of a candidate that is to blame for it; raises what is not its fault, such as a forge that ended."""
    if isinstance(error, BuildFailed | MeasureFailed | MeasureTimeout):
        return error
    raise error
