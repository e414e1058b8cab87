"""Tables, vectors and texts of a flatbuffer, found in its bytes without a copy, each held against the file's end.

The library for it checks nothing: an offset of a damaged file leads it anywhere, and a length keeps it busy for hours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["FlatBuffer", "NoFlatBuffer", "Span", "Table"]

_OFFSET = struct.Struct("<I")
_ENTRY = struct.Struct("<H")
_MOST_STEPS, _MOST_TABLES = 20_000_000, 400_000
"""Elements of vectors, and tables, that are read in all, in some 5 s: several offsets may lead to one place, so that a
small file is large. A network of 700 operators has 3,000 tables.
"""


class NoFlatBuffer(ValueError):
    """The bytes are no flatbuffer, or one that is cut short or changed."""


class Span(NamedTuple):
    """Where the elements of a vector lie."""

    start: int
    length: int


@dataclass(slots=True)
class FlatBuffer:
    """The bytes of a file."""

    data: Any
    """What has a length and gives its bytes by slices: bytes or a map of a file."""
    steps: int = 0
    """Elements of vectors that were read so far."""
    tables: int = 0
    """Tables that were."""

    def root(self, identifier: bytes) -> Table:
        """The table that the file is. Raises NoFlatBuffer: another identifier, or none."""
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise NoFlatBuffer(f"has no identifier {identifier.decode()}")
        return self.table(self.number(_OFFSET, 0))

    def table(self, at: int) -> Table:
        """The table that begins at a byte."""
        self.tables += 1
        if self.tables > _MOST_TABLES:
            raise NoFlatBuffer("leads to the same place again and again")
        (back,) = self._unpack("<i", at)
        vtable = at - back
        size = self.number(_ENTRY, vtable)
        if size < 4 or size % 2 or vtable < 0 or vtable + size > len(self.data):
            raise NoFlatBuffer("has a table without its fields")
        return Table(self, at, vtable, size)

    def number(self, kind: struct.Struct, at: int) -> int:
        """A number at a byte. Raises NoFlatBuffer: it lies outside."""
        if at < 0 or at + kind.size > len(self.data):
            raise NoFlatBuffer("ends too soon")
        return int(kind.unpack_from(self.data, at)[0])

    def _unpack(self, form: str, at: int) -> tuple[Any, ...]:
        if at < 0 or at + struct.calcsize(form) > len(self.data):
            raise NoFlatBuffer("ends too soon")
        return struct.unpack_from(form, self.data, at)

    def vector(self, at: int, item_bytes: int) -> Span:
        """The vector at a byte, which holds as many elements as it says."""
        count = self.number(_OFFSET, at)
        if at + 4 + count * item_bytes > len(self.data):
            raise NoFlatBuffer("ends too soon")
        return Span(at + 4, count)

    def items(self, span: Span, kind: str) -> tuple[Any, ...]:
        """The numbers of a vector; kind: one letter of `struct`."""
        self.steps += span.length
        if self.steps > _MOST_STEPS:
            raise NoFlatBuffer("leads to the same place again and again")
        return self._unpack(f"<{span.length}{kind}", span.start)


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    buffer: FlatBuffer
    at: int
    vtable: int
    vtable_bytes: int

    def _field(self, index: int) -> int | None:
        entry = 4 + 2 * index
        if entry >= self.vtable_bytes:
            return None
        offset = self.buffer.number(_ENTRY, self.vtable + entry)
        return self.at + offset if offset else None

    def scalar(self, index: int, kind: str, default: int = 0) -> int:
        """A number; kind: one letter of `struct`."""
        at = self._field(index)
        return default if at is None else self.buffer.number(struct.Struct(f"<{kind}"), at)

    def has(self, index: int) -> bool:
        """Whether the field is there."""
        return self._field(index) is not None

    def target(self, index: int) -> int | None:
        """The byte that an offset leads to; None where there is none."""
        at = self._field(index)
        return None if at is None else at + self.buffer.number(_OFFSET, at)

    def table(self, index: int) -> Table | None:
        """Another table."""
        at = self.target(index)
        return None if at is None else self.buffer.table(at)

    def span(self, index: int, item_bytes: int) -> Span | None:
        """Where a vector lies; None where there is none."""
        at = self.target(index)
        return None if at is None else self.buffer.vector(at, item_bytes)

    def numbers(self, index: int, kind: str) -> tuple[Any, ...]:
        """The numbers of a vector."""
        span = self.span(index, struct.calcsize(f"<{kind}"))
        return () if span is None else self.buffer.items(span, kind)

    def tables(self, index: int) -> Iterator[Table]:
        """The tables of a vector."""
        span = self.span(index, 4)
        if span is not None:
            for position, offset in enumerate(self.buffer.items(span, "I")):
                yield self.buffer.table(span.start + 4 * position + offset)

    def text(self, index: int) -> str:
        """A text; empty where there is none."""
        span = self.span(index, 1)
        if span is None:
            return ""
        return bytes(self.buffer.data[span.start : span.start + span.length]).decode(errors="replace")
