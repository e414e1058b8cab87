"""Cores that a device lends to compilations between its measurements: who is on them, and how they stop and go on.

Two sides who do not know each other agree through files in one folder. Each says what it does before it looks at what
the other does, so that whoever comes first, one of them sees the other:

    a measurer   takes the lock of the core, then stops every process group in the core's register, measures, lets
                 them go on, and gives back the lock
    a borrower   enters its process group into the register, then looks at the lock; where it is held, it stops itself
                 before it goes to the core

Who watches a borrower lets it go on when it is stopped and nobody holds the lock: the measurer was killed, or had left
already. It holds off measurers for that moment, so that it cannot wake anybody in the middle of a measurement.

A register is a folder `lent-CORE` with an empty file for each group, named PGID-START, where START is the leader's
start in clock ticks since boot: a name is there whole or not at all, and a pid that was handed out again is not taken
for its former owner. Nothing here knows what is measured or compiled. Linux only.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "enter",
    "entry_of",
    "freeze",
    "is_frozen",
    "let_borrowers_go",
    "lock_file",
    "members",
    "nobody_measures",
    "stop_borrowers",
    "thaw",
]

_POLL_S = 0.0002
"""A signal stops a process within microseconds, or when it next gets the core."""
_START_TICKS = 19
"""Place in a stat file of a process's start in clock ticks since boot, counted from the state on."""
_AT_REST = frozenset("TtDZXx")
"""States in which a thread uses no core. D too: it stops when it wakes, and whoever waits for a vfork is in D."""


def lock_file(lock_dir: Path, core: int) -> Path:
    """Who holds an exclusive flock on this file measures on the core."""
    return lock_dir / f"core-{core}.lock"


def entry_of(lock_dir: Path, core: int, pid: int) -> Path:
    """The register's entry of the group that `pid` leads. Raises FileNotFoundError when there is no such process."""
    return lock_dir / f"lent-{core}" / f"{pid}-{_stat(f'/proc/{pid}/stat')[_START_TICKS]}"


def enter(lock_dir: Path, core: int) -> Path:
    """Enter the group that this process leads into the register; gives the entry, to be removed after its end."""
    entry = entry_of(lock_dir, core, os.getpid())
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.touch()
    return entry


def stop_borrowers(lock_dir: Path, cores: Iterable[int], timeout_s: float) -> bool:
    """By who holds the locks of `cores`: stop all that is in their registers; False when it runs after `timeout_s`.

    The registers are read again until all is still: a borrower may be leaving the core, and then runs on.
    """
    cores = tuple(cores)
    deadline = time.monotonic() + timeout_s
    while groups := _borrowers(lock_dir, cores):
        if freeze(groups, 0.0):
            break
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def let_borrowers_go(lock_dir: Path, cores: Iterable[int]) -> None:
    """By who still holds the locks of `cores`: let all that is in their registers go on, also what came meanwhile."""
    thaw(_borrowers(lock_dir, cores))


def freeze(groups: Collection[int], timeout_s: float) -> bool:
    """Stop these process groups; False when one of them still runs after `timeout_s`."""
    _signal(groups, signal.SIGSTOP)
    deadline = time.monotonic() + timeout_s
    while any(_runs(pid) for pid in members(groups)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def thaw(groups: Iterable[int]) -> None:
    """Let process groups go on; no harm where they run or are gone."""
    _signal(groups, signal.SIGCONT)


def is_frozen(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    return _state(pid) == "T"


@contextmanager
def nobody_measures(lock_dir: Path, core: int) -> Iterator[bool]:
    """Whether nobody holds the core's lock; if so, nobody gets it while the block runs, which must be short.

    The lock is shared among those who ask. A measurer that comes in this moment asks again some milliseconds later.
    """
    lock_dir.mkdir(parents=True, exist_ok=True)
    number = os.open(lock_file(lock_dir, core), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(number)


def members(groups: Collection[int]) -> list[int]:
    """The processes of these groups. One system call a process of this machine: 0.1 ms for a hundred."""
    found: list[int] = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(OSError):
                    if os.getpgid(int(entry.name)) in groups:
                        found.append(int(entry.name))
    return found


def _borrowers(lock_dir: Path, cores: Iterable[int]) -> set[int]:
    """The groups in the registers. Entries of groups that are gone, with a server that was killed, are removed."""
    found: set[int] = set()
    for entry in [entry for core in cores for entry in (lock_dir / f"lent-{core}").glob("*-*")]:
        group, start_ticks = (int(part) for part in entry.name.split("-"))
        if _is_there(group, start_ticks):
            found.add(group)
        else:
            entry.unlink(missing_ok=True)
    return found


def _is_there(group: int, start_ticks: int) -> bool:
    try:
        leader = _stat(f"/proc/{group}/stat")
    except OSError:
        thaw([group])  # a linker without its leader may be left, and nobody else would know of it
        return False
    if int(leader[_START_TICKS]) != start_ticks:
        return False
    return leader[0] != "Z" or any(_state(pid) not in "ZX" for pid in members({group}))


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _runs(pid: int) -> bool:
    """Whether any thread of a process could use a core."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                if _stat(f"{thread}/stat")[0] not in _AT_REST:
                    return True
    return False


def _state(pid: int) -> str:
    """The state of a process's main thread; X when it is gone."""
    with suppress(OSError):
        return _stat(f"/proc/{pid}/stat")[0]
    return "X"


def _stat(path: str) -> list[str]:
    """Fields of a stat file from the state on: the command's name before it may hold spaces and parentheses."""
    return Path(path).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
