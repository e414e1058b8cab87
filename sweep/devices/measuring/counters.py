"""Counts what a measurement takes beside time, where the machine tells: energy (RAPL) and the CPU's own events (perf).

Runs on the device, as `conditions` does: Linux's own files and system calls, no third-party module. Each observer is
one class whose `read` gives what was counted since it began, and nothing at all where the machine does not tell.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

__all__ = ["Counter", "PerfEvents", "Rapl", "between", "read_counters"]

Reading = dict[str, list[float]]
"""By name, what was counted so far, and where it begins anew (0: nowhere)."""


class Counter(Protocol):
    """Counts something of this machine or process."""

    def read(self) -> Reading:
        """What was counted so far, by `quantity` or `quantity:part`; empty where the machine does not tell."""


class Rapl:
    """Energy of the processor packages, in microjoules: of all that runs on them, and not of this process alone."""

    def __init__(self, root: Path = Path("/sys/class/powercap")) -> None:
        self._root = root

    def read(self) -> Reading:
        """One entry a package. The kernel lets root alone read it on most machines."""
        found: Reading = {}
        for place in sorted(self._root.glob("*-rapl:*")):
            with suppress(OSError, ValueError):
                name = (place / "name").read_text().strip()
                if name.startswith("package"):  # its parts are in it already
                    energy = float((place / "energy_uj").read_text())
                    found[f"energy_uj:{place.name}"] = [energy, float((place / "max_energy_range_uj").read_text())]
        return found


_HARDWARE = 0
"""PERF_TYPE_HARDWARE."""
EVENTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"cycles": (_HARDWARE, 0), "instructions": (_HARDWARE, 1), "cache_misses": (_HARDWARE, 3)}
)
"""Type and number of each event in perf_event.h."""
_SYSCALL: Mapping[str, int] = MappingProxyType({"x86_64": 298, "aarch64": 241})
_ATTR = struct.Struct("=IIQQQQQIIQ")
"""The first 64 bytes of perf_event_attr, which every kernel takes: type, size, event, period, sample type, read format,
flags, wake-up, breakpoint type, config1.
"""
_TIMES = 1 | 2
"""Read with the time that the event was asked for and that it was counted: several events may share a counter."""
_OWN_CODE = 1 << 5 | 1 << 6
"""Neither the kernel nor the hypervisor, which other users may not count."""


class PerfEvents:
    """Events of the CPU in all threads of this process, in its own code."""

    def __init__(self, events: Mapping[str, tuple[int, int]] = EVENTS) -> None:
        self._wanted = events
        self._call = _SYSCALL.get(platform.machine())
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._events = dict(self._wanted) if self._call is not None else {}
        self._open: dict[tuple[str, int], int] = {}
        self._ended = dict.fromkeys(self._events, 0.0)

    def read(self) -> Reading:
        """One entry an event. Threads are counted from the first reading on that they are seen in."""
        if os.getpid() != self._pid:  # a child has its parent's files, which count the parent
            self._begin()
        threads = _threads()
        for name in list(self._events):
            for thread in sorted(threads):
                if (name, thread) not in self._open and (file := self._opened(name, thread)) is not None:
                    self._open[name, thread] = file
        totals = dict(self._ended)
        for (name, thread), file in list(self._open.items()):
            count = _count(file)
            totals[name] += count
            if thread not in threads:
                self._ended[name] += count
                os.close(self._open.pop((name, thread)))
        seen = {name for name, _ in self._open}
        return {name: [total, 0.0] for name, total in totals.items() if name in seen}

    def _opened(self, name: str, thread: int) -> int | None:
        if name not in self._events:
            return None
        kind, event = self._events[name]
        attr = ctypes.create_string_buffer(_ATTR.pack(kind, _ATTR.size, event, 0, 0, _TIMES, _OWN_CODE, 0, 0, 0))
        cloexec = 1 << 3
        file = int(_LIBC.syscall(self._call, attr, thread, -1, -1, cloexec))
        if file >= 0:
            return file
        if thread == self._pid:  # no such counter here, or not for us: it is not asked for again
            del self._events[name]
        return None


_LIBC = ctypes.CDLL(None, use_errno=True)
_COUNTERS: tuple[Counter, ...] = (Rapl(), PerfEvents())


def read_counters() -> Reading:
    """What all counters of this machine tell now."""
    found: Reading = {}
    for counter in _COUNTERS:
        found |= counter.read()
    return found


def between(before: Mapping[str, list[float]], after: Mapping[str, list[float]]) -> dict[str, float]:
    """What was counted from one reading to the next, by quantity, its parts together."""
    found: dict[str, float] = {}
    for name, (end, wraps_at) in after.items():
        if name in before:
            grown = end - before[name][0]
            if grown < 0 and wraps_at:
                grown += wraps_at
            if grown >= 0:
                quantity = name.partition(":")[0]
                found[quantity] = found.get(quantity, 0.0) + grown
    return found


def _threads() -> set[int]:
    try:
        return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()


def _count(file: int) -> float:
    """Of one event, scaled up where it was counted part of the time alone."""
    try:
        value, asked, counted = struct.unpack("=QQQ", os.read(file, 24))
    except (OSError, struct.error):
        return 0.0
    return float(value) * asked / counted if counted else 0.0
