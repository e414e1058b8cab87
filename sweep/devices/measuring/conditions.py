"""Reads the conditions under which a measurement is taken, on the machine that takes it, and the memory it needs.

Runs on the device (in the session's worker, or in another runtime's child) and reads Linux's own files: no TVM,
no third-party module. What cannot be read is None, never a guess.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.devices.measuring.counters import between, read_counters

__all__ = ["in_a_row", "merge", "observe", "peak_bytes", "reset_peak", "status_bytes", "thread_cores"]

CPU = Path("/sys/devices/system/cpu")

CHANGING = ("cpu_mhz", "load1", "competitors", "busy_s", "own_s", "stolen_s", "at")
"""What is told of before and after; the rest stays what it is during a measurement."""
LOOKS = 3
"""A thread that is runnable in each of so many looks wants the core; in one, the kernel's own may be by chance."""
LOOK_INTERVAL_S = 0.005
TICKS_S = os.sysconf("SC_CLK_TCK")


def observe() -> dict[str, Any]:
    """This machine now: names, clocks, load, and who else wants the cores that this process is pinned to."""
    cores = sorted(os.sched_getaffinity(0))
    busy_s, stolen_s = _taken(cores)
    counters = read_counters()
    return {
        **({"counters": counters} if counters else {}),
        "host": platform.node(),
        "cpu_model": _cpu_field("model name"),
        "architecture": platform.machine(),
        "cores": cores,
        "thread_cores": thread_cores(),
        "cache_bytes": _cache_bytes(cores[0]),
        "governor": _read(CPU / f"cpu{cores[0]}/cpufreq/scaling_governor"),
        "cpu_mhz": _cpu_mhz(cores[0]),
        "load1": os.getloadavg()[0],
        "competitors": _competitors(cores),
        "busy_s": busy_s,
        "own_s": time.process_time(),
        "stolen_s": stolen_s,
        "at": time.time(),
    }


def merge(before: Mapping[str, Any], after: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Two observations around a measurement as one table: what stays once, what changes as _before and _after."""
    # From the later one: a runtime starts its threads when it first runs.
    merged = {name: value for name, value in (after or before).items() if name not in (*CHANGING, "counters")}
    if counted := between(before.get("counters", {}), after.get("counters", {})):
        merged["counted"] = counted
    merged["threads"] = threads
    for name in CHANGING:
        merged[f"{name}_before"], merged[f"{name}_after"] = before.get(name), after.get(name)
    return merged


def in_a_row(seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One table of several, each of a process of its own: from the first one's beginning to the last one's end.

    What the processes did themselves is added up; what each has of its own otherwise is told of the last.
    """
    first, last = seen[0], seen[-1]
    merged = {**last, **{f"{name}_before": first.get(f"{name}_before") for name in CHANGING}}
    own_s = [one["own_s_after"] - one["own_s_before"] for one in seen if one.get("own_s_after") is not None]
    if len(own_s) == len(seen):
        merged["own_s_before"], merged["own_s_after"] = 0.0, sum(own_s)
    counted: Counter[str] = Counter()
    for one in seen:
        counted.update(one.get("counted") or {})
    return {**merged, **({"counted": dict(counted)} if counted else {})}


def reset_peak() -> int | None:
    """Forget the highest resident set so far; gives the present one in bytes, None where the kernel does not let us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return status_bytes("VmRSS")


def peak_bytes() -> int | None:
    """The highest resident set since `reset_peak`."""
    return status_bytes("VmHWM")


def status_bytes(name: str) -> int | None:
    """A size that the kernel tells of this process, such as VmRSS; None where it does not."""
    for line in (_read(Path("/proc/self/status")) or "").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return None


def _competitors(cores: list[int]) -> int:
    """Threads of other processes that are runnable on one of `cores` whenever one looks."""
    own = str(os.getpid())
    processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and entry.name != own]
    found = [thread for process in processes for thread in _threads(process) if _is_runnable(thread, cores)]
    for _ in range(LOOKS - 1):
        if found:
            time.sleep(LOOK_INTERVAL_S)
            found = [thread for thread in found if _is_runnable(thread, cores)]
    return len(found)


def _threads(process: Path) -> list[Path]:
    try:
        return list((process / "task").iterdir())
    except OSError:  # it has ended
        return []


def _is_runnable(thread: Path, cores: list[int]) -> bool:
    """Whether a thread runs or waits to run, and was last seen on one of `cores`."""
    fields = (_read(thread / "stat") or "").rpartition(")")[2].split()
    return bool(fields) and fields[0] == "R" and int(fields[36]) in cores


def thread_cores() -> list[int]:
    """All cores that any thread of this process may run on."""
    found: set[int] = set()
    for thread in _threads(Path("/proc/self")):
        with suppress(OSError):  # it has ended
            found |= os.sched_getaffinity(int(thread.name))
    return sorted(found)


def _taken(cores: list[int]) -> tuple[float | None, float | None]:
    """Seconds since boot that `cores` worked, for whomever, and that the hypervisor kept them from it."""
    wanted = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in (_read(Path("/proc/stat")) or "").splitlines()]
    # user nice system idle iowait irq softirq steal
    ticks = [[int(field) for field in line[1:9]] for line in lines if line and line[0] in wanted]
    if not ticks or any(len(fields) < 8 for fields in ticks):
        return None, None
    busy = sum(user + nice + system + irq + soft for user, nice, system, _, _, irq, soft, _ in ticks)
    return busy / TICKS_S, sum(fields[7] for fields in ticks) / TICKS_S


def _cache_bytes(core: int) -> int | None:
    """Size of the core's largest cache, its own or shared."""
    texts = [_read(place / "size") for place in (CPU / f"cpu{core}/cache").glob("index*")]
    sizes = [int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]] for text in texts if text and text[-1] in "KMG"]
    return max(sizes, default=None)


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
