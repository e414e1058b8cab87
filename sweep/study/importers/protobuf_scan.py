"""The fields of a protobuf message, found in its bytes without a schema and without a copy.

A message is a sequence of fields, each a key (number and wire type) and a value; values that are not of interest are
stepped over by their length.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["BYTES", "VARINT", "Field", "NoMessage", "fields", "varint"]

VARINT, _FIXED64, BYTES, _FIXED32 = 0, 1, 2, 5


class NoMessage(Exception):
    """The bytes are no protobuf message."""


class Field(NamedTuple):
    """Where the value of a field lies."""

    number: int
    kind: int
    """Wire type: `VARINT`, `BYTES` for texts, bytes and messages, or another for numbers of a fixed length."""
    start: int
    end: int


def fields(data: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    """Each field of a message. Raises NoMessage."""
    at = start
    while at < end:
        key, at = varint(data, at, end)
        kind = key & 7
        if kind == VARINT:
            begin = at
            _, at = varint(data, at, end)
            yield Field(key >> 3, kind, begin, at)
        elif kind == BYTES:
            length, at = varint(data, at, end)
            if at + length > end:
                raise NoMessage
            yield Field(key >> 3, kind, at, at + length)
            at += length
        elif kind in (_FIXED32, _FIXED64):
            begin, at = at, at + (4 if kind == _FIXED32 else 8)
            yield Field(key >> 3, kind, begin, at)
        else:
            raise NoMessage
    if at != end:
        raise NoMessage


def varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends. Raises NoMessage."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NoMessage
