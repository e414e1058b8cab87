"""Under which conditions a measurement was taken, seen from the machine that took it; and the memory it needed.

Runs on the device (in the session's worker, or in the reference runtime's child) and reads Linux's own files: no TVM,
no third-party module. What cannot be read is None, never a guess.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["merge", "observe", "peak_bytes", "reset_peak"]

CPU = Path("/sys/devices/system/cpu")


def observe() -> dict[str, Any]:
    """This machine now: names, clocks, load, and who else wants the cores that this process is pinned to."""
    cores = sorted(os.sched_getaffinity(0))
    return {
        "host": platform.node(),
        "cpu_model": _cpu_field("model name"),
        "architecture": platform.machine(),
        "cores": cores,
        "governor": _read(CPU / f"cpu{cores[0]}/cpufreq/scaling_governor"),
        "cpu_mhz": _cpu_mhz(cores[0]),
        "load1": os.getloadavg()[0],
        "competitors": _competitors(cores),
        "at": time.time(),
    }


def merge(before: Mapping[str, Any], after: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Two observations around a measurement as one table: what stays once, what changes as _before and _after."""
    changing = ("cpu_mhz", "load1", "competitors", "at")
    merged = {name: value for name, value in before.items() if name not in changing}
    merged["threads"] = threads
    for name in changing:
        merged[f"{name}_before"], merged[f"{name}_after"] = before.get(name), after.get(name)
    return merged


def reset_peak() -> int | None:
    """Forget the highest resident set so far; gives the present one in bytes, None where the kernel does not let us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status_bytes("VmRSS")


def peak_bytes() -> int | None:
    """The highest resident set since `reset_peak`."""
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int | None:
    for line in (_read(Path("/proc/self/status")) or "").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return None


def _competitors(cores: list[int]) -> int:
    """Runnable threads' leaders, other than this process, last seen on one of `cores`."""
    found = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        stat = _read(entry / "stat")
        if stat is None:
            continue
        fields = stat.rpartition(")")[2].split()
        found += fields[0] == "R" and int(fields[36]) in cores
    return found


def _cpu_mhz(core: int) -> float | None:
    scaled = _read(CPU / f"cpu{core}/cpufreq/scaling_cur_freq")
    if scaled is not None:
        return int(scaled) / 1000
    shown = _cpu_field("cpu MHz")
    return None if shown is None else float(shown)


def _cpu_field(name: str) -> str | None:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
