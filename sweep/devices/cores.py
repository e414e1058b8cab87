"""Cores are measured on by one session at a time, whoever shares them: a file lock per core of this host.

Whoever compiles on them between measurements stands still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from filelock import FileLock, Timeout

from sweep.errors import DeviceLost
from sweep.lending import let_borrowers_go, lock_file, stop_borrowers

__all__ = ["core_lock"]

POLL_INTERVAL_S = 0.005
"""How often a waiter looks: filelock's own 50 ms would be felt after each candidate of a few milliseconds."""

STOP_TIMEOUT_S = 10.0
"""For what compiles on a lent core to stand still; it takes microseconds, where the core is overloaded milliseconds."""


@contextmanager
def core_lock(lock_dir: Path, cores: Iterable[int], timeout_s: float = 600.0) -> Iterator[None]:
    """Hold every one of `cores` while the block runs; nobody else with the same `lock_dir` measures on them then.

    Process groups that were lent a core (`sweep.lending`) are stopped for the time of the block.

    Cores are taken in ascending order, so two devices that share some of them cannot wait for each other in a circle.
    A holder that dies loses its locks with its file descriptors. No cores (a board of its own): nothing to lock.

    Raises DeviceLost when they are not free within `timeout_s`, or what was lent them does not stop.
    """
    wanted = sorted(set(cores))
    lock_dir.mkdir(parents=True, exist_ok=True)
    deadline = monotonic() + timeout_s
    with ExitStack() as held:
        for core in wanted:
            lock = FileLock(lock_file(lock_dir, core), thread_local=False)
            try:
                lock.acquire(timeout=max(0.0, deadline - monotonic()), poll_interval=POLL_INTERVAL_S)
            except Timeout as error:
                raise DeviceLost(
                    f"core {core} was not free within {timeout_s:g} s: {lock.lock_file} is held"
                ) from error
            held.callback(lock.release)
        held.callback(let_borrowers_go, lock_dir, wanted)  # before the locks are released: afterwards others measure
        if not stop_borrowers(lock_dir, wanted, STOP_TIMEOUT_S):
            raise DeviceLost(f"what compiles on the lent cores {wanted} did not stop within {STOP_TIMEOUT_S:g} s")
        yield
