"""Executors that run one call at a time in a thread of their own: first come first served, or shared fairly by kind."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Condition
from typing import Any, TypeVar

__all__ = ["FairQueue", "SerialQueue"]

T = TypeVar("T")


class SerialQueue:
    """Runs calls one after the other, first come, first served; in `width` threads where it is wider."""

    def __init__(self, name: str, width: int = 1) -> None:
        self._pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix=name)

    def submit(self, call: Callable[..., T], *args: Any) -> Future[T]:
        """Queue a call."""
        return self._pool.submit(call, *args)

    def close(self) -> None:
        """Let the running call end and drop the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Waiting:
    answer: Future[Any]
    call: Callable[[], Any]

    def perform(self) -> Callable[[], None]:
        """Call it, unless nobody wants it any more. What is returned hands the answer over."""
        if not self.answer.set_running_or_notify_cancel():
            return lambda: None
        try:
            return partial(self.answer.set_result, self.call())
        except BaseException as error:  # noqa: BLE001  it is the caller's, as with any executor
            return partial(self.answer.set_exception, error)


class FairQueue:
    """Runs calls of several kinds, one at a time. Kinds that wait at the same time get the time by their shares; within
    a kind the first comes first. A kind that does not wait saves nothing up. One whose share is infinite goes before
    all others where it waits, and they wait for it where it is expected.
    """

    def __init__(self, name: str, shares: Mapping[str, float], waited_s: Callable[[], float] = lambda: 0.0) -> None:
        """shares: what part of the time each kind gets where all wait; only their ratios count. waited_s: seconds that
        the calling thread has waited for others so far, within calls; no kind is charged for them.
        """
        self._shares, self._waited_s = dict(shares), waited_s
        self._waiting: dict[str, deque[_Waiting]] = {kind: deque() for kind in shares}
        self._used_s = dict.fromkeys(shares, 0.0)
        """Seconds by share, of each kind: who has least is next."""
        self._expected: dict[str, float] = {}
        """Until when a call of a kind is waited for, by the monotonic clock."""
        self._under_way = 0
        self._changed = Condition()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.users = 0
        """How many callers use this queue now, for a worker that chooses among several queues."""

    def submit(self, kind: str, call: Callable[..., T], *args: Any) -> Future[T]:
        """Queue a call of a kind. Raises KeyError for a kind that has no share."""
        answer: Future[T] = Future()
        with self._changed:
            if not self._under_way:
                self._used_s = dict.fromkeys(self._used_s, max(self._used_s.values()))
            self._waiting[kind].append(_Waiting(answer, lambda: call(*args)))
            self._under_way += 1
            self._changed.notify_all()
        self._pool.submit(self._run_next)
        return answer

    def expect(self, kind: str, seconds: float) -> None:
        """A call of this kind should come within so many seconds; 0: none. Where the kind would be next, the others
        wait for it as long, and it is charged for that.
        """
        with self._changed:
            self._expected[kind] = time.monotonic() + seconds
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._under_way == 0

    def close(self) -> None:
        """Let the running call end and drop the rest."""
        with self._changed:
            dropped = [waiting for queue in self._waiting.values() for waiting in queue]
            for queue in self._waiting.values():
                queue.clear()
            self._under_way -= len(dropped)
            self._expected.clear()
            self._changed.notify_all()
        for waiting in dropped:
            waiting.answer.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_next(self) -> None:
        with self._changed:
            self._wait_for_expected()
            wanting = [kind for kind, queue in self._waiting.items() if queue]
            if not wanting:  # closed meanwhile
                return
            kind = min(wanting, key=self._rank)
            for idle in self._used_s.keys() - wanting:  # what comes during this call has waited from its begin on
                self._used_s[idle] = max(self._used_s[idle], self._used_s[kind])
            waiting = self._waiting[kind].popleft()
        begun, waited_s = time.monotonic(), self._waited_s()
        hand_over = waiting.perform()
        with self._changed:  # before the answer is out: whoever has it may ask whether the queue is idle
            spent_s = time.monotonic() - begun - (self._waited_s() - waited_s)
            self._used_s[kind] += spent_s / self._shares[kind]
            self._under_way -= 1
        hand_over()

    def _rank(self, kind: str) -> tuple[bool, float]:
        """Who has least is next."""
        return not math.isinf(self._shares[kind]), self._used_s[kind]

    def _wait_for_expected(self) -> None:
        """While the kind whose turn it is has nothing here, but should have in a moment."""
        while True:
            wanting = {kind for kind, queue in self._waiting.items() if queue}
            begun = time.monotonic()
            coming = {kind for kind, until in self._expected.items() if until > begun}
            if not wanting:
                return
            least = min(map(self._rank, wanting))
            due = sorted((kind for kind in coming - wanting if self._rank(kind) <= least), key=self._rank)
            if not due:
                return
            self._changed.wait(self._expected[due[0]] - begun)
            self._used_s[due[0]] += (time.monotonic() - begun) / self._shares[due[0]]
