"""The ledger: what happened, one checksummed JSON line an event, written by one process and never changed.

It is the truth about a sweep; tables, MLflow and the report are made from it and can be made again. A line holds
`seq` (counts from 1 without a gap), `t` (Unix seconds), `event`, the event's own fields and `crc` (CRC-32 of the line's
canonical JSON without it, eight hex digits). A last line cut short by a crash or a full disk is set aside on opening;
one wrong byte in a line is put right.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from sweep.errors import LedgerError, LedgerUnwritable
from sweep.files.line_log import MOST_LINE_BYTES, lines_in
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.finished_stages import FinishedStages
from sweep.running.ledger.lines import LineReader, encode_line
from sweep.running.ledger.state import FailedStage, FinishedStage, LedgerState
from sweep.running.signals import uninterrupted

__all__ = ["EventRefused", "FailedStage", "FinishedStage", "Ledger", "LedgerState", "is_held", "read_ledger"]

_log = logging.getLogger(__name__)

_LOCK_WAIT_S = 1.0
"""Who only looks whether a driver has the folder holds the lock for an instant."""


class EventRefused(LedgerError):
    """An event that no ledger takes: a number that is not finite, a value that JSON does not have, or too many bytes.
    Nothing of it is written.
    """


class Ledger:
    """The writer's end. Opening takes the sweep directory's lock; a second writer is refused.

    Its state reads results back from the file where they are asked for: a run's memory does not grow with its cells.
    """

    def __init__(self, sweep_dir: Path) -> None:
        """Open for writing.

        Raises:
            LedgerError: another run holds the directory, lines were taken out, or something in it leads out of it.
            LedgerUnwritable: the disk refuses.
        """
        self._dir = SweepDir(sweep_dir)
        self._path = self._dir.ledger
        self._dir.check_inside()
        self._is_broken = self._is_together = False
        self._waiting: list[tuple[dict[str, Any], bytes]] = []
        """Events of a block that has not ended, and their lines."""
        self._lock = self._take_lock()
        try:
            self.state = LedgerState(done=FinishedStages(self._path))
            lines = _read(self._path, self.state)
            self._put_right(lines)
            self._set_torn_tail_aside(lines.good_bytes)
            self._file = self._path.open("ab", buffering=0)
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            with contextlib.suppress(OSError):  # for people alone
                self._dir.holder.write_text(json.dumps(holder), encoding="utf-8")
        except OSError as error:
            self._lock.release()
            raise LedgerUnwritable(f"{self._path}: cannot be written: {error}") from error
        except BaseException:
            self._lock.release()
            raise

    def append(self, event: str, *, t: float | None = None, **fields: Any) -> None:
        """Write one event, on the disk when this returns, or when the block of `together` ends.

        Raises:
            LedgerUnwritable: the disk refused (full, gone, read-only); nothing of the line is left behind.
            EventRefused: a value is none that JSON has, such as a number that is not finite, or the line is longer than
                any that is read: it would be taken for a damaged one. Nothing of it is written.
        """
        with self.together():
            seq = self.state.seq + len(self._waiting) + 1
            line = {"seq": seq, "t": time.time() if t is None else t, "event": event, **fields}
            about = f"{self._path}: {event} of {fields.get('kind', 'no')} stage {fields.get('stage', '-')}"
            try:
                data = encode_line(line)
            except ValueError as error:
                raise EventRefused(f"{about}: {error}, so it is not written") from error
            if len(data) > MOST_LINE_BYTES:
                raise EventRefused(
                    f"{about} takes {len(data):,} bytes; allowed: up to {MOST_LINE_BYTES:,}, so it is not written"
                )
            self._waiting.append((line, data))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write the events of the block in one go when it ends: a disk takes as long for many as for one.

        Until then the state knows none of them. Those before an error in the block are written all the same.

        Raises:
            LedgerUnwritable: the disk refused; nothing of these lines is left behind.
        """
        if self._is_together:
            yield
            return
        self._is_together = True
        with uninterrupted():  # a line whose state was not counted would be followed by one of the same number
            try:
                yield
            finally:
                lines, self._waiting, self._is_together = self._waiting, [], False
                offset = self._write(b"".join(data for _, data in lines)) if lines else 0
                for line, data in lines:
                    self.state.apply(line, offset)
                    offset += len(data)

    def _write(self, data: bytes) -> int:
        """Where it begins in the file."""
        if self._is_broken:
            raise LedgerUnwritable(f"{self._path}: cannot be written: the end of it could not be taken back")
        size = os.fstat(self._file.fileno()).st_size
        try:
            while data:  # a disk takes what there is room for, and says why only when asked for more
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            try:
                self._file.truncate(size)
            except OSError:  # a line after half a line would be damaged
                self._is_broken = True
            raise LedgerUnwritable(f"{self._path}: cannot be written: {error}") from error
        return size

    def move(self, folder: Path) -> None:
        """Give the directory another name. Whoever waits for it meanwhile begins in a new one of the former name."""
        self._dir.path.rename(folder)
        self._dir = SweepDir(folder)

    def close(self) -> None:
        """Give the directory back."""
        self._file.close()
        with contextlib.suppress(OSError):
            self._dir.holder.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_lock(self) -> filelock.BaseFileLock:
        while True:
            lock = filelock.FileLock(self._dir.lock, timeout=_LOCK_WAIT_S)
            try:
                self._dir.path.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except filelock.Timeout as error:
                raise LedgerError(
                    f"{self._dir.path} is in use by another `sweep run`{self._describe_holder()}"
                ) from error
            except FileNotFoundError:
                continue
            if is_held(self._dir.path):
                return lock
            lock.release()  # `--fresh` has moved the folder, with the lock that was waited for

    def _describe_holder(self) -> str:
        try:
            holder = json.loads(self._dir.holder.read_text(encoding="utf-8"))
            return f" (process {holder['pid']} on {holder['host']})"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""

    def _put_right(self, lines: LineReader) -> None:
        """In place and by as many bytes, so that a kill leaves one or the other; what was there is kept beside it."""
        for repair in lines.mended:
            _log.warning("%s: a wrong byte after byte %d was put right", self._path, repair.offset)
            self._dir.damaged(repair.offset).write_bytes(repair.before)
            with self._path.open("r+b") as file:
                file.seek(repair.offset)
                file.write(repair.after)
                file.flush()
                os.fsync(file.fileno())

    def _set_torn_tail_aside(self, good_bytes: int) -> None:
        if not self._path.exists() or self._path.stat().st_size == good_bytes:
            return
        with self._path.open("r+b") as file:
            file.seek(good_bytes)
            with self._dir.torn(good_bytes).open("wb") as torn:
                shutil.copyfileobj(file, torn)
            file.truncate(good_bytes)
            os.fsync(file.fileno())


def read_ledger(sweep_dir: Path) -> LedgerState:
    """The state as a reader sees it, also while a driver writes.

    Raises:
        LedgerError: there is no ledger, or lines were taken out of it.
    """
    files = SweepDir(sweep_dir)
    files.require()
    state = LedgerState()
    _read(files.ledger, state)
    return state


def is_held(sweep_dir: Path) -> bool:
    """Whether a driver has the sweep directory now. Who looks shares the lock with whoever else looks at the moment.

    Raises OSError where the lock cannot be opened.
    """
    try:
        lock = os.open(SweepDir(sweep_dir).lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _read(path: Path, state: LedgerState) -> LineReader:
    """Fold all lines into a state; also what is damaged."""
    lines = LineReader(path)
    if path.exists():
        with path.open("rb") as file:
            for raw in lines_in(file):
                for line in lines.take(raw):
                    state.apply(line.event, line.offset)
        for line in lines.end():
            state.apply(line.event, line.offset)
    if lines.lost:
        _log.warning("%s: %d damaged lines are left out, and what they told is done again", path, lines.lost)
    return lines
