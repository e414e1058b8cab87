"""Where an ONNX file says that its weights lie, read from its bytes without the onnx package, which takes 0.3 s to
import.

A file that is no protobuf message has no weights elsewhere: what it is instead is the loader's to say.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from sweep.study.importers.protobuf_scan import BYTES, Field, NoMessage, fields

__all__ = ["external_locations"]

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


def external_locations(path: Path) -> dict[str, int]:
    """The files that an ONNX file names as those of its weights, as written there, in order of appearance; and how many
    bytes each of them has at least.

    Raises OSError where the file cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b"location") < 0:  # most files, of any size, in a few milliseconds
            return {}
        found: dict[str, int] = {}
        try:
            for location, size in _locations(data, 0, len(data), "model", 0):
                found[location] = max(size, found.get(location, 0))
        except NoMessage:
            return {}
        return found


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[tuple[str, int]]:
    if depth > _DEEPEST:
        raise NoMessage
    inner = _INNER[message]
    entries: dict[bytes, bytes] = {}
    for number, _, begin, stop in _messages(data, start, end):
        if inner.get(number) == "entry":
            texts = {part.number: data[part.start : part.end] for part in _messages(data, begin, stop)}
            entries[texts.get(_KEY, b"")] = texts.get(_VALUE, b"")
        elif number in inner:
            yield from _locations(data, begin, stop, inner[number], depth + 1)
    if b"location" in entries:
        size = sum(_number(entries.get(key, b"")) for key in (b"offset", b"length"))
        yield entries[b"location"].decode(errors="replace"), size


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _messages(data: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    return (part for part in fields(data, start, end) if part.kind == BYTES)
