"""Cores are measured on by one session at a time, whoever shares them: a file lock per core of this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from filelock import FileLock, Timeout

from sweep.errors import DeviceLost

__all__ = ["core_lock"]

POLL_INTERVAL_S = 0.005
"""How often a waiter looks: filelock's own 50 ms would be felt after each candidate of a few milliseconds."""


@contextmanager
def core_lock(lock_dir: Path, cores: Iterable[int], timeout_s: float = 600.0) -> Iterator[None]:
    """Hold every one of `cores` while the block runs; nobody else with the same `lock_dir` measures on them then.

    Cores are taken in ascending order, so two devices that share some of them cannot wait for each other in a circle.
    A holder that dies loses its locks with its file descriptors. No cores (a board of its own): nothing to lock.

    Raises DeviceLost when they are not free within `timeout_s`.
    """
    wanted = sorted(set(cores))
    lock_dir.mkdir(parents=True, exist_ok=True)
    deadline = monotonic() + timeout_s
    with ExitStack() as held:
        for core in wanted:
            lock = FileLock(lock_dir / f"core-{core}.lock", thread_local=False)
            try:
                lock.acquire(timeout=max(0.0, deadline - monotonic()), poll_interval=POLL_INTERVAL_S)
            except Timeout as error:
                raise DeviceLost(
                    f"core {core} was not free within {timeout_s:g} s: {lock.lock_file} is held"
                ) from error
            held.callback(lock.release)
        yield
