"""Identifies processes so that a recycled pid is not taken for the former one, and ends children with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessId", "boot_id", "die_with_parent", "end_groups", "identify", "is_alive", "is_stopped", "runs"]

PR_SET_PDEATHSIG = 1
POLL_INTERVAL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process for ever: a pid alone is handed out again after its process ended."""

    pid: int
    start_ticks: int
    """Clock ticks from boot to the process's start, field 22 of /proc/PID/stat."""
    boot_id: str
    """The kernel's name for this boot: pids and ticks start again with the next one."""


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now; None when there is none, or only a zombie that nobody fetched yet."""
    fields = _stat_fields(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessId(pid, int(fields[19]), boot_id())


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs, not another one with its pid."""
    return identify(process.pid) == process


def is_stopped(process: ProcessId) -> bool:
    """Whether this very process was stopped by a signal or a debugger, and waits to be let go on."""
    return is_alive(process) and (_stat_fields(process.pid) or ["X"])[0] in "Tt"


def runs(process: ProcessId, module: str) -> bool:
    """Whether it is a living Python that was started with a module of this name, or of one below it."""
    try:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    wanted = module.encode()
    return any(word == wanted or word.startswith(wanted + b".") for word in words) and is_alive(process)


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to SIGKILL this process when the thread that started it ends; exit now if that happened already.

    For children of a main thread, or of a thread that waits for them: the signal follows the thread, not the process.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(1)


def end_groups(leaders: Iterable[ProcessId], grace_s: float) -> None:
    """End process groups by their leaders: SIGTERM, `grace_s` to comply, then SIGKILL. Only the living are touched."""
    living = [leader for leader in leaders if is_alive(leader)]
    for leader in living:
        _signal_group(leader, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while living and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)
        living = [leader for leader in living if is_alive(leader)]
    for leader in living:
        _signal_group(leader, signal.SIGKILL)


def _signal_group(leader: ProcessId, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, number)


def _stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third, the state, on; None where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold spaces and parentheses of its own.
    return stat.rpartition(")")[2].split()


@cache
def boot_id() -> str:
    """The kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
