"""A clock for what is called from here: the calls are timed from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweep.devices.measuring.timing import Clock

__all__ = ["timed_calls"]


def timed_calls(call: Callable[[], object], flush: Callable[[], None]) -> Clock:
    """As TVM's evaluator does it: a call that is not timed, then the repeats, the caches flushed before each."""

    def clock(number: int, repeat: int) -> list[float]:
        call()
        means = []
        for _ in range(repeat):
            flush()
            began = time.perf_counter()
            for _ in range(number):
                call()
            means.append((time.perf_counter() - began) / number)
        return means

    return clock
