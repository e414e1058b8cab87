"""Registers: files in which all processes of this host agree on holders of boards and cores, and on healthy boards.

One file for the boards of a tracker key, one for all cores of the host; each is read and changed under its lock, in a
few tenths of a millisecond. A lease in it counts for as long as it has not run out and its holder lives, so a holder
that was killed holds nothing any more, and one that was stopped soon does not. Processes on other hosts have other
registers: there a tracker's session with a board is what keeps others off it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sweep.devices.leasing.board_health import BoardHealth, as_json, entry_from
from sweep.devices.processes import boot_id, is_alive
from sweep.errors import DeviceLost

__all__ = ["Register", "boards_of", "cores_of", "is_held", "now_s", "remove_idle"]

LOCK_TIMEOUT_S = 5.0
"""Whoever has the lock needs it for less than a millisecond."""
LOCK_POLL_S = 0.0005
IDLE_S = 86_400.0
"""A register that nobody wrote for a day is of a tracker that is gone: each farm of a run has a port of its own."""


def now_s() -> float:
    """Seconds since this machine's boot, sleep included: the clock of leases, the same in all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Register:
    """One file of entries by name, which is its own lock. For any number of threads and processes."""

    def __init__(self, path: Path, about: dict[str, str]) -> None:
        """`about`: kept in the file, for those who find it."""
        self.path = path
        self._about = about

    @contextmanager
    def changing(self) -> Iterator[dict[str, BoardHealth]]:
        """The entries, to be changed in place while nobody else does; written when the block ends well.

        Raises DeviceLost where the file stays locked, or the disk refuses.
        """
        with _locked(self.path, fcntl.LOCK_EX) as number:
            entries = _entries(number)
            before = dict(entries)
            yield entries
            if entries != before:
                stored = {**self._about, "entries": [as_json(entry) for entry in entries.values()]}
                # In place, since a rename takes longer than all the rest; what is beyond the line is not read.
                with _told_of(self.path):
                    os.pwrite(number, json.dumps(stored).encode() + b"\n", 0)

    def read(self) -> dict[str, BoardHealth]:
        """The entries as they are now."""
        if not self.path.exists():
            return {}
        with _locked(self.path, fcntl.LOCK_SH) as number:
            return _entries(number)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int]:
    # Not filelock's: the lock is the very file that is read and written.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with _told_of(path):
        try:
            number = os.open(path, flags, 0o644)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(path, flags, 0o644)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(number, how):
            if time.monotonic() >= deadline:
                raise DeviceLost(f"{path} was locked for more than {LOCK_TIMEOUT_S:g} s")
            time.sleep(LOCK_POLL_S)
        yield number
    finally:
        os.close(number)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeviceLost(f"{path}, in which leases are noted, cannot be used: {error.strerror}") from error


def _try_lock(number: int, how: int) -> bool:
    try:
        fcntl.flock(number, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stored(number: int) -> Any:
    return json.loads(os.pread(number, os.fstat(number).st_size, 0).partition(b"\n")[0] or b"{}")


def _entries(number: int) -> dict[str, BoardHealth]:
    """A file that cannot be read counts as empty: leases in it are lost, and those who had them are told."""
    try:
        return {entry["name"]: entry_from(entry) for entry in _stored(number).get("entries", ())}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_held(entry: BoardHealth, at_s: float) -> bool:
    """Whether somebody who lives has a lease of it."""
    return entry.is_leased(at_s) and entry.holder is not None and is_alive(entry.holder.process)


def cores_of(lock_dir: Path) -> Register:
    """The register of this host's cores."""
    return Register(lock_dir / "cores.json", {})


def boards_of(lock_dir: Path, tracker: str, key: str) -> Register:
    """The register of a key's boards at a tracker (host:port). A home folder may be shared by several hosts."""
    digest = hashlib.sha256(f"{boot_id()} {tracker} {key}".encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", key)[:80]
    return Register(lock_dir / "boards" / f"{name}-{digest}.json", {"tracker": tracker, "key": key, "boot": boot_id()})


def remove_idle(lock_dir: Path) -> None:
    """Take away the registers of trackers that are long gone."""
    for path in (lock_dir / "boards").glob("*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > IDLE_S:
                path.unlink()
