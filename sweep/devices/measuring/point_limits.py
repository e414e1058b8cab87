"""The limits of a point of a profiling grid, watched from a thread of the process that is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from sweep.analysis.formatting import as_bytes
from sweep.devices.measuring.resident_peak import PeakMemory, resident_bytes
from sweep.errors import OutOfMemory, OverTimeLimit, SweepError

__all__ = ["GiveUp", "PointLimits", "check_memory", "check_time"]

GiveUp = Callable[[SweepError], None]
"""Tells why, and ends the process: a call into a library cannot be ended otherwise."""
_LOOK_S = 0.01


def check_memory(peak_bytes: int | None, limits: Mapping[str, float]) -> None:
    """Raises OutOfMemory where a network needed more than its study allows."""
    most = limits.get("memory_limit_bytes")
    if most is not None and peak_bytes is not None and peak_bytes > most:
        raise OutOfMemory(f"needs {as_bytes(peak_bytes)} above idle, {_limit(most)}")


def check_time(call_s: float, limits: Mapping[str, float]) -> None:
    """Raises OverTimeLimit where a call took longer than its study allows."""
    most_s = limits.get("time_limit_s")
    if most_s is not None and call_s > most_s:
        raise OverTimeLimit(f"a call takes more than {most_s:g} s, the profile's time_limit_s")


class PointLimits:
    """Watches the calls of a network while a context lasts. It sees none of them end: several have so many times as
    long together, and who has timed one checks that one itself.
    """

    def __init__(self, limits: Mapping[str, float], memory: PeakMemory | None, give_up: GiveUp, calls: int = 1) -> None:
        """memory: of what is above its idle; None: it is not watched. calls: that are made within the context."""
        self._limits, self._memory, self._give_up, self._calls = limits, memory, give_up, calls
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._limits:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._is_over.wait(_LOOK_S):
            try:
                check_time((time.monotonic() - began) / self._calls, self._limits)
                if self._memory is not None:
                    check_memory((resident_bytes() or 0) - self._memory.idle_bytes, self._limits)
            except SweepError as error:
                self._give_up(error)
                return


def _limit(most: float) -> str:
    return f"and the profile's memory_limit_bytes are {int(most)}"
