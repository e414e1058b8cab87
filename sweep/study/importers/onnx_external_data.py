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


def external_locations(path: Path) -> list[str]:
    """The files that an ONNX file names as those of its weights, as written there, each once, in order of appearance.

    Raises OSError where the file cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b"location") < 0:  # most files, of any size, in a few milliseconds
            return []
        try:
            return list(dict.fromkeys(_locations(data, 0, len(data), "model", 0)))
        except NoMessage:
            return []


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise NoMessage
    if message == "entry":
        texts = {number: data[begin:stop] for number, _, begin, stop in _messages(data, start, end)}
        if texts.get(_KEY) == b"location":
            yield texts.get(_VALUE, b"").decode(errors="replace")
        return
    inner = _INNER[message]
    for number, _, begin, stop in _messages(data, start, end):
        if number in inner:
            yield from _locations(data, begin, stop, inner[number], depth + 1)


def _messages(data: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    return (part for part in fields(data, start, end) if part.kind == BYTES)
