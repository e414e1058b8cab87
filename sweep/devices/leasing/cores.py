"""Gives cores to one measuring session at a time: a lease and a file lock for each core of this host.

The lease says whose turn it is; a holder that was stopped loses it. The lock tells compile workers on a lent core that
the core is being measured on: they stand still meanwhile. Both are one user's; the core's name is all users'.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.core_sharing import let_borrowers_go, lock_file, stop_borrowers
from sweep.devices.leasing.all_users import alone_on_host
from sweep.devices.leasing.board_health import Holder
from sweep.devices.leasing.lease import Lease, myself, take
from sweep.devices.leasing.register import cores_of
from sweep.errors import DeviceLost

__all__ = ["core_lock", "waited_s"]

POLL_INTERVAL_S = 0.005
"""How often a waiter looks: filelock's own 50 ms would be felt after each candidate of a few milliseconds."""

STOP_TIMEOUT_S = 10.0
"""For what compiles on a lent core to stand still; it takes microseconds, where the core is overloaded milliseconds."""

STALE_LOCK_S = 1.0
"""Whoever has the lease gets the lock at once, or when a compilation that just looked is gone; else its holder is one
that was stopped and has lost the lease."""

_waits = threading.local()


def waited_s() -> float:
    """Seconds that this thread has waited for cores so far, which others of this host measured on."""
    return float(getattr(_waits, "seconds", 0.0))


@contextmanager
def core_lock(
    lock_dir: Path, cores: Iterable[int], timeout_s: float = 600.0, holder: Holder | None = None
) -> Iterator[None]:
    """Hold every one of `cores` while the block runs; nobody else of this host measures on them then.

    Process groups that were lent a core (`sweep.core_sharing`) are stopped for the time of the block.

    Cores are taken in ascending order, so two devices that share some of them cannot wait for each other in a circle.
    A holder that dies loses them at once, one that is stopped after the time of a lease. No cores (a board of its own):
    nothing to lock.

    Raises DeviceLost when they are not free within `timeout_s`, when what was lent them does not stop, and at the end
    of the block when they were lost within it.
    """
    wanted = sorted(set(cores))
    if not wanted:
        yield
        return
    begun = time.monotonic()
    lease = take(cores_of(lock_dir), [f"core {core}" for core in wanted], holder or myself(), timeout_s)
    try:
        with alone_on_host(wanted, timeout_s), _locked(lock_dir, wanted, lease):
            _waits.seconds = waited_s() + time.monotonic() - begun
            yield
    except BaseException:
        lease.give_up(None)
        raise
    lease.release()


@contextmanager
def _locked(lock_dir: Path, wanted: list[int], lease: Lease) -> Iterator[None]:
    """The locks of cores whose lease is ours, with all borrowers stopped."""

    def let_go() -> None:
        if lease.is_mine():  # else somebody measures there now
            let_borrowers_go(lock_dir, wanted)

    with ExitStack() as held:
        for core in wanted:
            held.callback(_lock(lock_file(lock_dir, core)).release)
        held.callback(let_go)  # before the locks are released: afterwards others measure
        if not stop_borrowers(lock_dir, wanted, STOP_TIMEOUT_S):
            raise DeviceLost(f"what compiles on the lent cores {wanted} did not stop within {STOP_TIMEOUT_S:g} s")
        yield


def _lock(path: Path) -> FileLock:
    """The file's lock. A stale one stays with its holder, on a file that nobody finds any more."""
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=STALE_LOCK_S, poll_interval=POLL_INTERVAL_S)
    except Timeout:
        path.unlink(missing_ok=True)
        lock.acquire(timeout=STALE_LOCK_S, poll_interval=POLL_INTERVAL_S)
    return lock
