"""Times whole networks while they are tuned, with the schedules that there are by then.

The sum of a network's tasks is an estimate: tasks alone find other caches than tasks in a row. A network that is built
and measured a first time as soon as each of its tasks has a schedule, and again when it should have become faster, has
a coarse answer minutes before its cell. And each build leaves functions that the next ones, and that of the cell, do
not compile again.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sweep.errors import SweepError
from sweep.toolchain.candidates.libraries import SCRATCH
from sweep.toolchain.candidates.service import NetworkService
from sweep.toolchain.tuning.pool.member import PoolMember

__all__ = ["EarlyNetworks"]

_log = logging.getLogger(__name__)

_FASTER = 0.9
"""Of the estimate of the last one: from then on it is worth another build."""
_SHARE = 0.15
"""Of the time since the first network joined that may go to early builds and measurements, of all networks together."""
_LEAST_S = 10.0
"""Of tuning that a network has before it: with less its cell comes as soon."""
_FAILURES = 2
"""After so many none is tried any more; the build of the cell tells why."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    member: PoolMember
    answer: Future[dict[str, Any]]
    folder: Path
    begun: float
    trials: int
    """Of the pool, when it was begun."""


class EarlyNetworks:
    """Sees to the members of a pool, one network at a time. Used by the pool's loop alone."""

    def __init__(
        self, records_dir: Path, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`records_dir`: of the pool, which a build reads while it grows. wake: lets the pool's loop look up."""
        self._records_dir, self._wake, self._clock = records_dir, wake, clock
        self._service: NetworkService | None = None
        self._under_way: _UnderWay | None = None
        self._begun, self._spent_s = clock(), 0.0

    def begin(self, service: NetworkService | None) -> None:
        """From now on networks are built and timed by this service; None: none is."""
        self._service = service
        self._begun, self._spent_s = self._clock(), 0.0

    def see_to(self, members: Sequence[PoolMember], trials: int, left_s: Callable[[PoolMember], float]) -> None:
        """Take what has ended, and begin what is due.

        trials: of the pool. left_s: how long a member is still tuned for, as far as one can tell.
        """
        self._take(members)
        if self._service is None or self._under_way is not None:
            return
        if self._spent_s > _SHARE * (self._clock() - self._begun):
            return
        due = [member for member in members if self._is_due(member, left_s)]
        if due:
            self._begin(min(due, key=lambda member: len(member.measured)), trials)
            self._take(members)

    def forget(self) -> None:
        """Nobody waits for what is under way any more: it is not built to its end, and its files go when it ends."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.answer.cancel()
            under_way.answer.add_done_callback(lambda _: shutil.rmtree(under_way.folder, ignore_errors=True))

    def _is_due(self, member: PoolMember, left_s: Callable[[PoolMember], float]) -> bool:
        if member.job.network is None or member.reached_s is None or member.early_failures >= _FAILURES:
            return False
        if member.built_at_s is not None and member.reached_s > _FASTER * member.built_at_s:
            return False
        return left_s(member) >= max(_LEAST_S, member.early_s)

    def _begin(self, member: PoolMember, trials: int) -> None:
        assert self._service is not None
        assert member.job.network is not None
        member.built_at_s = member.reached_s
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self._records_dir))
        try:
            answer = self._service.time_network(member.job.network, self._records_dir, folder / "network")
        except Exception as problem:  # noqa: BLE001 - it is told where the answer is taken
            answer = Future()
            answer.set_exception(problem)
        self._under_way = _UnderWay(member, answer, folder, self._clock(), trials)
        answer.add_done_callback(lambda _: self._wake())

    def _take(self, members: Sequence[PoolMember]) -> None:
        under_way = self._under_way
        if under_way is None or not under_way.answer.done():
            return
        self._under_way = None
        shutil.rmtree(under_way.folder, ignore_errors=True)
        member, now = under_way.member, self._clock()
        member.early_s = now - under_way.begun
        self._spent_s += member.early_s
        error = CancelledError() if under_way.answer.cancelled() else under_way.answer.exception()
        if error is not None:
            member.early_failures += 1
            if not isinstance(error, (SweepError, CancelledError)):  # a bug, which must not cost hours of tuning
                _log.warning("%s: its network is not timed early: %r", member.job.label, error, exc_info=error)
        elif member in members:
            latency_s = median(under_way.answer.result()["run_secs"])
            member.measured.append((under_way.trials, round(now - member.joined, 3), latency_s))
