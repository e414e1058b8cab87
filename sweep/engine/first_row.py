"""The cell that comes first to a device goes before all else there: people wait for the first row of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from sweep.engine.queues import FairQueue

__all__ = ["FIRST_S", "FirstRow", "Turns"]

T = TypeVar("T")

FIRST_S = 10.0
"""For so long at most since the end of its first visit, which also loads what it takes: tuners are still making their
first candidates then, and a cell of very long calls does not keep the others waiting for all its rounds."""
_UNTIL_ITS_NEXT_S = 0.5
"""A visit comes within so many seconds of the one before."""


class Turns:
    """Of one cell."""

    def __init__(self, *, comes_first: bool) -> None:
        self._until_t = math.inf if comes_first else 0.0

    @property
    def kind(self) -> str:
        """Of its next visit, for the device's queue."""
        return "first" if time.monotonic() < self._until_t else "visit"

    def visit(self, queue: FairQueue, perform: Callable[..., T], *args: Any) -> T:
        """Perform one, as a call of the queue; of the first cell, have the others wait for the next one."""
        try:
            return perform(*args)
        finally:
            self._until_t = min(self._until_t, time.monotonic() + FIRST_S)
            if self.kind == "first":
                queue.expect("first", _UNTIL_ITS_NEXT_S)

    def end(self, queue: FairQueue) -> None:
        """There is no next one."""
        if self._until_t:
            queue.expect("first", 0.0)


class FirstRow:
    """Of one device: gives each cell its turns."""

    def __init__(self) -> None:
        self._lock, self._is_given = Lock(), False

    def turns(self) -> Turns:
        """Of a cell that comes now."""
        with self._lock:
            comes_first, self._is_given = not self._is_given, True
        return Turns(comes_first=comes_first)
