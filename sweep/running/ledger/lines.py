"""The lines of a ledger: an event each, as canonical JSON with its CRC-32.

Disks and people change bytes. One wrong byte is put right; a line that is damaged beyond that is left out, and the work
that it told of is done again. Bytes after the last whole line are the torn end of a writer that was killed.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sweep.errors import LedgerError
from sweep.files.line_log import MOST_LINE_BYTES
from sweep.files.typed_json import WrongContent, parsed
from sweep.running.ledger.event_types import LEDGER_VERSION, checked, is_newer
from sweep.running.ledger.line_repair import mended

__all__ = ["Line", "LineReader", "Repaired", "decode_line", "encode_line"]

_MOST_HELD_BYTES = 64 << 20
"""Of damaged lines behind which nothing whole has come yet: they are in memory until then."""
_MOST_REPAIRED_BYTES = 4 << 20
"""Of a line that is worth repairing: to look for its wrong byte takes a second, and chance finds another in every
fourth."""
_REPAIR_BYTES = 32 << 20
"""Of all lines that are looked at for a wrong byte in one ledger: some 10 s. What is damaged beyond is left out."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """Bytes of the file that must be replaced, and the same number of bytes that replace them."""

    offset: int
    before: bytes
    after: bytes


class Line(NamedTuple):
    """A whole line of the ledger: its event, and where it lies in the file."""

    event: Mapping[str, Any]
    offset: int
    """Of its first byte in the file, when damage before it is put right."""


class LineReader:
    """Takes the lines of a ledger one by one, and gives those that are whole, or were put right, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = self._seq = 0
        self._held: list[bytes] = []
        self._held_bytes, self._to_repair_bytes = 0, _REPAIR_BYTES
        self._may_skip = False
        """Whether lines were lost since the last good one."""
        self.good_bytes = 0
        """Length of the file up to the end of the last whole line."""
        self.mended: list[Repaired] = []
        self.lost = 0
        """Damaged lines between whole ones."""

    def take(self, raw: bytes) -> list[Line]:
        """The lines that this one brings: none while it is damaged and nothing whole has come after it.

        Raises:
            LedgerError: lines are missing or are there twice, or one whole line is no event of any version.
        """
        self._number += 1
        event = decode_line(raw)
        if event is None:
            self._hold(raw)
            return []
        lines = self._settle(is_end=False)
        self._check(event)
        lines.append(Line(event, self.good_bytes))
        self.good_bytes += len(raw)
        return lines

    def end(self) -> list[Line]:
        """Damaged last lines that could be put right; what is left after `good_bytes` is torn."""
        return self._settle(is_end=True)

    def _settle(self, *, is_end: bool) -> list[Line]:
        lines: list[Line] = []
        while self._held:
            before, found = self._held[0], self._mended(self._held[0])
            if not found and len(self._held) > 1:  # a byte that has become a line break makes two of one
                before = b"".join(self._held[:2])
                found = self._mended(before)
            if found and found[0][1]["seq"] > self._seq:
                offset = self.good_bytes
                for line, event in found:
                    self._check(event)
                    lines.append(Line(event, offset))
                    offset += len(line)
                self.mended.append(Repaired(self.good_bytes, before, b"".join(line for line, _ in found)))
                self.good_bytes += len(before)
                del self._held[: before.count(b"\n") or 1]
            elif is_end:
                self._held.clear()
            else:
                self.lost += 1
                self._may_skip = True
                self.good_bytes += len(self._held.pop(0))
        self._held_bytes = 0
        return lines

    def _hold(self, raw: bytes) -> None:
        self._held.append(raw)
        self._held_bytes += len(raw)
        if self._held_bytes > _MOST_HELD_BYTES:
            raise LedgerError(
                f"{self._path}: more than {_MOST_HELD_BYTES >> 20} MiB after byte {self.good_bytes} are no events: "
                f"restore it from a copy, or keep what is before them (`truncate -s {self.good_bytes}`)"
            )

    def _mended(self, raw: bytes) -> list[tuple[bytes, Mapping[str, Any]]]:
        if len(raw) > min(_MOST_REPAIRED_BYTES, self._to_repair_bytes):
            return []
        self._to_repair_bytes -= len(raw)
        return mended(raw, decode_line)

    def _check(self, event: Mapping[str, Any]) -> None:
        seq = event["seq"]
        if seq <= self._seq or (seq > self._seq + 1 and not self._may_skip):
            raise LedgerError(
                f"{self._path}: line {self._number} is damaged (event {seq} follows {self._seq});"
                " lines were taken out or put in: restore it from a copy"
            )
        try:
            checked(event)
        except WrongContent as error:
            raise LedgerError(
                f"{self._path}: line {self._number}: {error}; its checksum is right, so a program wrote it: "
                "restore the ledger from a copy, or begin anew with `sweep run STUDY --fresh`"
            ) from None
        if is_newer(event):
            raise LedgerError(
                f"{self._path}: line {self._number}: a newer version wrote it, in format {event['version']}; "
                f"allowed: up to {LEDGER_VERSION}. Update this package, or look at the sweep where it was made"
            )
        self._seq, self._may_skip = seq, False


def encode_line(event: Mapping[str, Any]) -> bytes:
    """Text that is no Unicode is written as it is shown. Raises ValueError, which names the key, for a value that JSON
    cannot hold.
    """
    try:
        body = _canonical(event)
    except (TypeError, ValueError) as error:
        raise ValueError(_foreign(event) or str(error)) from error
    try:
        data = body.encode()
    except UnicodeEncodeError:  # a path or an argument of bytes that are no UTF-8
        body = _canonical(_readable(event))
        data = body.encode()
    return f'{body[:-1]},"crc":"{zlib.crc32(data):08x}"}}\n'.encode()


def decode_line(raw: bytes) -> dict[str, Any] | None:
    """The event of a line; None where the line is torn or damaged."""
    if not raw.endswith(b"\n") or not (_has_right_end(raw) or len(raw) <= _MOST_REWRITTEN_BYTES):
        return None
    try:
        line = parsed(raw, most_bytes=MOST_LINE_BYTES)
        crc = line.pop("crc")
        body = _canonical(line).encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return line if f"{zlib.crc32(body):08x}" == crc and type(line.get("seq")) is int else None


_END = len(',"crc":"00000000"}\n')
_MOST_REWRITTEN_BYTES = 1 << 20
"""Of a line that is parsed although its bytes are not as they were written: a program may have moved its keys."""


def _has_right_end(raw: bytes) -> bool:
    """Whether the bytes have their checksum, so that a long line is parsed only where it is whole."""
    crc = zlib.crc32(b"}", zlib.crc32(memoryview(raw)[:-_END]))
    return raw[-_END:] == f',"crc":"{crc:08x}"}}\n'.encode()


def _foreign(value: Any, key: str = "") -> str | None:
    """Which value of an event JSON does not have, and under which key: the first."""
    if isinstance(value, Mapping):
        inner = [(str(name), each) for name, each in sorted(value.items(), key=lambda item: str(item[0]))]
    elif isinstance(value, (list, tuple)):
        inner = [(str(number), each) for number, each in enumerate(value)]
    elif isinstance(value, float) and not math.isfinite(value):
        return f"{key} is {value}; allowed: a finite number"
    elif value is None or isinstance(value, (str, int, float)):
        return None
    else:
        return f"{key} is of the type {type(value).__name__}; allowed: what JSON has"
    return next((told for name, each in inner if (told := _foreign(each, f"{key}.{name}" if key else name))), None)


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_readable(key): _readable(inner) for key, inner in value.items()}
    return [_readable(item) for item in value] if isinstance(value, (list, tuple)) else value


def _canonical(line: Mapping[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
