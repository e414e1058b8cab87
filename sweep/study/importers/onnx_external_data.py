"""Where an ONNX file says that its weights lie, read from its bytes without the onnx package, which takes 0.3 s to
import.

A protobuf message is a sequence of fields, each a key (number and wire type) and a value; values that are not of
interest are stepped over by their length. A file that is no such sequence has no weights elsewhere: what it is instead
is the loader's to say.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

__all__ = ["external_locations"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_INNER = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Message -> its fields that may hold, at some depth, an entry of `TensorProto.external_data`; of `onnx.proto`."""

_KEY, _VALUE = 1, 2
_DEEPEST = 100
"""Messages in messages, as protobuf itself has it."""


class _NoMessage(Exception):
    """The bytes are no protobuf message."""


def external_locations(path: Path) -> list[str]:
    """The files that an ONNX file names as those of its weights, as written there, each once, in order of appearance.

    Raises OSError where the file cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b"location") < 0:  # most files, of any size, in a few milliseconds
            return []
        try:
            return list(dict.fromkeys(_locations(data, 0, len(data), "model", 0)))
        except _NoMessage:
            return []


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise _NoMessage
    if message == "entry":
        texts = {number: data[begin:stop] for number, begin, stop in _fields(data, start, end)}
        if texts.get(_KEY) == b"location":
            yield texts.get(_VALUE, b"").decode(errors="replace")
        return
    inner = _INNER[message]
    for number, begin, stop in _fields(data, start, end):
        if number in inner:
            yield from _locations(data, begin, stop, inner[number], depth + 1)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field that has a length."""
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(data, at, end)
        elif kind == _BYTES:
            length, at = _varint(data, at, end)
            if at + length > end:
                raise _NoMessage
            yield key >> 3, at, at + length
            at += length
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        else:
            raise _NoMessage
    if at != end:
        raise _NoMessage


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _NoMessage
