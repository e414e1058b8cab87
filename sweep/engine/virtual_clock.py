"""A priority queue of simulated ends on a virtual clock, of any speed: for simulated and replayed attempts."""

from __future__ import annotations

import heapq
import itertools
import time

from sweep.running.contract import Attempt

__all__ = ["VirtualClock"]


class VirtualClock:
    """Attempts in the order of their ends. `speed`: pretended seconds a second; 0: the clock jumps to the next end."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._clock_s = 0.0
        self._due: list[tuple[float, int, Attempt, float]] = []
        self._order = itertools.count()

    def add(self, attempt: Attempt, seconds: float) -> None:
        """An attempt that begins now ends after so many pretended seconds."""
        heapq.heappush(self._due, (self._now() + seconds, next(self._order), attempt, seconds))

    def ended(self, timeout_s: float) -> list[tuple[Attempt, float]]:
        """Attempts whose end has come, with their seconds; waits at most `timeout_s` for the next one."""
        if not self._due:
            return []
        next_due_s = self._due[0][0]
        if self._speed == 0:
            self._clock_s = max(self._clock_s, next_due_s)
        else:
            time.sleep(max(0.0, min(timeout_s, (next_due_s - self._now()) / self._speed)))
        found = []
        now = self._now()
        while self._due and self._due[0][0] <= now:
            _, _, attempt, seconds = heapq.heappop(self._due)
            found.append((attempt, seconds))
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()

    def _now(self) -> float:
        return self._clock_s if self._speed == 0 else time.monotonic() * self._speed
