"""The lines of a ledger: an event each, as canonical JSON with its CRC-32.

Disks and people change bytes. One wrong byte is put right; a line that is damaged beyond that is left out, and the work
that it told of is done again. Bytes after the last whole line are the torn end of a writer that was killed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sweep.errors import LedgerError
from sweep.running.ledger.line_repair import mended

__all__ = ["Line", "LineReader", "Repaired", "decode_line", "encode_line"]


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
        self._lost: list[bytes] = []
        """Of those, what could not be put right when the last good line came."""
        self.good_bytes = 0
        """Length of the file up to the end of the last whole line."""
        self.mended: list[Repaired] = []
        self.lost = 0
        """Damaged lines between whole ones."""

    def take(self, raw: bytes) -> list[Line]:
        """The lines that this one brings: none while it is damaged and nothing whole has come after it.

        Raises:
            LedgerError: lines are missing, or are there twice.
        """
        self._number += 1
        event = decode_line(raw)
        if event is None:
            self._held.append(raw)
            return []
        lines = self._settle(is_end=False)
        self._check(event, may_skip=bool(self._lost))
        self._lost.clear()
        lines.append(Line(event, self.good_bytes))
        self.good_bytes += len(raw)
        return lines

    def end(self) -> list[Line]:
        """Damaged last lines that could be put right; what is left after `good_bytes` is torn."""
        return self._settle(is_end=True)

    def _settle(self, *, is_end: bool) -> list[Line]:
        lines: list[Line] = []
        while self._held:
            before, found = self._held[0], mended(self._held[0], decode_line)
            if not found:  # a byte that has become a line break makes two of one
                before = b"".join(self._held[:2])
                found = mended(before, decode_line)
            if found and found[0][1]["seq"] > self._seq:
                offset = self.good_bytes
                for line, event in found:
                    self._check(event, may_skip=bool(self._lost))
                    self._lost.clear()
                    lines.append(Line(event, offset))
                    offset += len(line)
                self.mended.append(Repaired(self.good_bytes, before, b"".join(line for line, _ in found)))
                self.good_bytes += len(before)
                del self._held[: before.count(b"\n") or 1]
            elif is_end:
                self._held.clear()
            else:
                lost = self._held.pop(0)
                self._lost.append(lost)
                self.lost += 1
                self.good_bytes += len(lost)
        return lines

    def _check(self, event: Mapping[str, Any], *, may_skip: bool) -> None:
        seq = event["seq"]
        if seq <= self._seq or (seq > self._seq + 1 and not may_skip):
            raise LedgerError(
                f"{self._path}: line {self._number} is damaged (event {seq} follows {self._seq});"
                " lines were taken out or put in: restore it from a copy"
            )
        self._seq = seq


def encode_line(event: Mapping[str, Any]) -> bytes:
    """Raises ValueError for a value that JSON cannot hold."""
    body = _canonical(event)
    return f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def decode_line(raw: bytes) -> dict[str, Any] | None:
    """The event of a line; None where the line is torn or damaged."""
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw)
        crc = line.pop("crc")
        body = _canonical(line)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return line if f"{zlib.crc32(body.encode()):08x}" == crc and isinstance(line.get("seq"), int) else None


def _canonical(line: Mapping[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
