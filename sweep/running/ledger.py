"""The ledger: what happened, one checksummed JSON line an event, written by one process and never changed.

It is the truth about a sweep; tables, MLflow and the report are made from it and can be made again. A line holds
`seq` (counts from 1 without a gap), `t` (Unix seconds), `event`, the event's own fields and `crc` (CRC-32 of the line's
canonical JSON without it, eight hex digits). A last line cut short by a crash or a full disk is set aside on opening.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from sweep.errors import LedgerError, LedgerUnwritable
from sweep.running.signals import uninterrupted

__all__ = ["FailedStage", "FinishedStage", "Ledger", "LedgerState", "decode_line", "is_held", "read_ledger"]

_NAME = "ledger.jsonl"
_LOCK = "ledger.lock"


@dataclass(frozen=True, slots=True)
class FinishedStage:
    """A stage that is done, with its result."""

    kind: str
    result: Mapping[str, Any]
    seconds: float
    attempt: int
    t: float


@dataclass(frozen=True, slots=True)
class FailedStage:
    """A stage whose last attempt failed for good."""

    kind: str
    error_class: str
    error: str
    attempt: int
    t: float


@dataclass(slots=True)
class LedgerState:
    """The fold of all events."""

    done: dict[str, FinishedStage] = field(default_factory=dict)
    failed: dict[str, FailedStage] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    """Stages with an attempt that has no end: running, or lost with a killed driver."""
    runs: int = 0
    first_t: float | None = None
    last_t: float | None = None
    last_status: str | None = None
    """How the last run ended; None while it runs, or when it was killed."""
    seq: int = 0
    conditions: dict[str, Any] = field(default_factory=dict)

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take one event."""
        self.seq, t = line["seq"], line["t"]
        self.first_t, self.last_t = self.first_t if self.first_t is not None else t, t
        match line["event"]:
            case "run_started":
                self.runs += 1
                self.last_status = None
                self.started.clear()
                self.conditions = dict(line.get("conditions", {}))
            case "run_ended":
                self.last_status = line["status"]
            case "attempt_started":
                self.attempts[line["stage"]] = line["attempt"]
                self.started.add(line["stage"])
            case "stage_done":
                stage = line["stage"]
                self.started.discard(stage)
                self.failed.pop(stage, None)
                self.done[stage] = FinishedStage(line["kind"], line["result"], line["seconds"], line["attempt"], t)
            case "attempt_failed":
                stage = line["stage"]
                self.started.discard(stage)
                if not line["retry"]:
                    self.failed[stage] = FailedStage(
                        line["kind"], line["error_class"], line["error"], line["attempt"], t
                    )


class Ledger:
    """The writer's end. Opening takes the sweep directory's lock; a second writer is refused."""

    def __init__(self, sweep_dir: Path) -> None:
        """Open for writing.

        Raises:
            LedgerError: another run holds the directory, or a line before the last is damaged.
        """
        self._path = sweep_dir / _NAME
        self._holder = sweep_dir / "ledger.holder.json"
        self._lock = filelock.FileLock(sweep_dir / _LOCK, timeout=0)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise LedgerError(f"{sweep_dir} is in use by another `sweep run`{self._describe_holder()}") from error
        try:
            self.state, good_bytes = _read(self._path)
            self._set_torn_tail_aside(good_bytes)
            self._file = self._path.open("ab", buffering=0)
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            self._holder.write_text(json.dumps(holder), encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise

    def append(self, event: str, *, t: float | None = None, **fields: Any) -> None:
        """Write one event, on the disk when this returns.

        Raises:
            LedgerUnwritable: the disk refused (full, gone, read-only); nothing of the line is left behind.
        """
        with uninterrupted():  # a line whose state was not counted would be followed by one of the same number
            self._append({"seq": self.state.seq + 1, "t": time.time() if t is None else t, "event": event, **fields})

    def _append(self, line: dict[str, Any]) -> None:
        data = _encode(line)
        size = self._file.tell() if self._file.seekable() else None
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(f"wrote {written} of {len(data)} bytes")
            os.fsync(self._file.fileno())
        except OSError as error:
            if size is not None:
                with contextlib.suppress(OSError):
                    self._file.truncate(size)
            raise LedgerUnwritable(f"{self._path}: cannot be written: {error}") from error
        self.state.apply(line)

    def close(self) -> None:
        """Give the directory back."""
        self._file.close()
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _describe_holder(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f" (process {holder['pid']} on {holder['host']})"
        except (OSError, ValueError, KeyError):
            return ""

    def _set_torn_tail_aside(self, good_bytes: int) -> None:
        if not self._path.exists() or self._path.stat().st_size == good_bytes:
            return
        with self._path.open("r+b") as file:
            file.seek(good_bytes)
            tail = file.read()
            self._path.with_name(f"ledger.torn-{good_bytes}").write_bytes(tail)
            file.truncate(good_bytes)
            os.fsync(file.fileno())


def read_ledger(sweep_dir: Path) -> LedgerState:
    """The state as a reader sees it, also while a driver writes.

    Raises:
        LedgerError: there is no ledger, or a line before the last is damaged.
    """
    path = sweep_dir / _NAME
    if not path.is_file():
        raise LedgerError(f"{sweep_dir} is not a sweep directory: it has no {_NAME}")
    return _read(path)[0]


def is_held(sweep_dir: Path) -> bool:
    """Whether a driver has the sweep directory now."""
    lock = filelock.FileLock(sweep_dir / _LOCK, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True


def _read(path: Path) -> tuple[LedgerState, int]:
    """Fold all whole lines; also how many bytes they take."""
    state = LedgerState()
    good_bytes = 0
    if not path.exists():
        return state, good_bytes
    for number, raw, is_last in _lines(path):
        line = decode_line(raw)
        if line is None or line["seq"] != state.seq + 1:
            if is_last:
                break
            raise LedgerError(f"{path}: line {number} is damaged (checksum or sequence); restore it from a copy")
        state.apply(line)
        good_bytes += len(raw)
    return state, good_bytes


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    with path.open("rb") as file:
        number, previous = 0, b""
        for raw in file:
            if previous:
                number += 1
                yield number, previous, False
            previous = raw
        if previous:
            yield number + 1, previous, True


def _canonical(line: Mapping[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _encode(line: Mapping[str, Any]) -> bytes:
    body = _canonical(line)
    crc = zlib.crc32(body.encode()) & 0xFFFFFFFF
    return f'{body[:-1]},"crc":"{crc:08x}"}}\n'.encode()


def decode_line(raw: bytes) -> dict[str, Any] | None:
    """The event of a line; None where the line is torn or damaged."""
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw)
        crc = line.pop("crc")
        body = _canonical(line)
    except (ValueError, KeyError, AttributeError):
        return None
    return line if f"{zlib.crc32(body.encode()) & 0xFFFFFFFF:08x}" == crc else None
