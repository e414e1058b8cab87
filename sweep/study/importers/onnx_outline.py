"""The nodes of an ONNX file, read from its bytes without the onnx package, which takes 0.3 s to import."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweep.study.importers.protobuf_scan import BYTES, VARINT, NoMessage, fields, varint

__all__ = ["Outline", "OutlineNode", "outline_of"]

_OPSET, _GRAPH, _FUNCTION = 8, 7, 25
_DOMAIN, _VERSION = 1, 2
_NODE, _INITIALIZER, _INPUT = 1, 5, 11
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_NAME, _INT, _STRING, _TENSOR, _SUBGRAPH = 1, 3, 4, 5, 6
_LISTS = (7, 8, 9)
_TENSOR_DIM, _TENSOR_TYPE = 1, 2
_VALUE_TYPE, _TYPE_TENSOR, _ELEMENT = 2, 1, 1
"""Field numbers of `onnx.proto`."""
_DEEPEST = 20
_HALF = 10
"""Floats of 16 bits, among the kinds of elements."""


@dataclass(frozen=True, slots=True)
class OutlineNode:
    """What of a node decides how it is imported."""

    operator: str
    """With its domain in front, where it has one of its own: `com.microsoft.QGemm`."""
    inputs: int
    """How many have a name, as of outputs."""
    outputs: int
    attributes: Mapping[str, int | str] = field(default_factory=dict)
    """Integers and texts as they are; of a tensor the number of its dimensions; of another kind 0."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Of a network."""

    opset: int
    has_functions: bool
    nodes: tuple[OutlineNode, ...]
    """Those of subgraphs too."""
    has_halves: bool = False
    """Whether a weight or an input is of float16."""


def outline_of(path: Path) -> Outline | None:
    """None where the file is no ONNX model, or a damaged one: what it is instead is the loader's to say.

    Raises OSError where it cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _outline(data)
        except (NoMessage, IndexError):
            return None


def _outline(data: mmap.mmap) -> Outline:
    opset, has_functions, has_halves = 1, False, False
    nodes: list[OutlineNode] = []
    for number, kind, start, end in fields(data, 0, len(data)):
        if kind != BYTES:
            continue
        if number == _OPSET:
            opset = max(opset, _default_opset(data, start, end))
        elif number == _FUNCTION:
            has_functions = True
        elif number == _GRAPH:
            nodes.extend(_nodes(data, start, end, 0))
            has_halves = has_halves or _has_halves(data, start, end)
    return Outline(opset, has_functions, tuple(nodes), has_halves)


def _has_halves(data: mmap.mmap, start: int, end: int) -> bool:
    """Whether a weight or an input of a graph is of float16."""
    for number, kind, begin, stop in fields(data, start, end):
        if kind != BYTES or number not in (_INITIALIZER, _INPUT):
            continue
        places = [(begin, stop)]
        for inner in () if number == _INITIALIZER else (_VALUE_TYPE, _TYPE_TENSOR):
            places = [(f, t) for a, z in places for n, k, f, t in fields(data, a, z) if (n, k) == (inner, BYTES)]
        wanted = _TENSOR_TYPE if number == _INITIALIZER else _ELEMENT
        if any(_number(data, a, z, wanted) == _HALF for a, z in places):
            return True
    return False


def _number(data: mmap.mmap, start: int, end: int, wanted: int) -> int:
    """The first of an integer field of a message; 0 where there is none."""
    found = (
        (begin, stop) for number, kind, begin, stop in fields(data, start, end) if (number, kind) == (wanted, VARINT)
    )
    place = next(found, None)
    return 0 if place is None else varint(data, *place)[0]


def _default_opset(data: mmap.mmap, start: int, end: int) -> int:
    """The version of the operators of ONNX itself that an entry asks for; 0 where it is of others."""
    domain, version = "", 0
    for number, kind, begin, stop in fields(data, start, end):
        if number == _DOMAIN and kind == BYTES:
            domain = _text(data, begin, stop)
        elif number == _VERSION and kind == VARINT:
            version, _ = varint(data, begin, stop)
    return version if domain in ("", "ai.onnx") else 0


def _nodes(data: mmap.mmap, start: int, end: int, depth: int) -> Iterator[OutlineNode]:
    if depth > _DEEPEST:
        raise NoMessage
    for number, kind, begin, stop in fields(data, start, end):
        if number == _NODE and kind == BYTES:
            yield from _node(data, begin, stop, depth)


def _node(data: mmap.mmap, start: int, end: int, depth: int) -> Iterator[OutlineNode]:
    operator = domain = ""
    inputs = outputs = 0
    attributes: dict[str, int | str] = {}
    for number, kind, begin, stop in fields(data, start, end):
        if kind != BYTES:
            continue
        if number == _NODE_OP:
            operator = _text(data, begin, stop)
        elif number == _NODE_DOMAIN:
            domain = _text(data, begin, stop)
        elif number == _NODE_INPUT:
            inputs += stop > begin
        elif number == _NODE_OUTPUT:
            outputs += stop > begin
        elif number == _NODE_ATTRIBUTE:
            name, value, subgraphs = _attribute(data, begin, stop)
            attributes[name] = value
            for first, last in subgraphs:
                yield from _nodes(data, first, last, depth + 1)
    prefix = "" if domain in ("", "ai.onnx") else f"{domain}."
    yield OutlineNode(prefix + operator, inputs, outputs, attributes)


def _attribute(data: mmap.mmap, start: int, end: int) -> tuple[str, int | str, list[tuple[int, int]]]:
    name, subgraphs = "", []
    value: int | str = 0
    for number, kind, begin, stop in fields(data, start, end):
        if number == _NAME and kind == BYTES:
            name = _text(data, begin, stop)
        elif number in _LISTS and name:
            break  # of numbers or texts, with nothing beside it: a field for each of five million nodes of trees
        elif number == _INT and kind == VARINT:
            value, _ = varint(data, begin, stop)
        elif number == _STRING and kind == BYTES:
            value = _text(data, begin, stop)
        elif number == _TENSOR and kind == BYTES:
            value = _rank(data, begin, stop)
        elif number == _SUBGRAPH and kind == BYTES:
            subgraphs.append((begin, stop))
    return name, value, subgraphs


def _rank(data: mmap.mmap, start: int, end: int) -> int:
    """Of a tensor: its sizes come one by one, or packed into one field."""
    rank = 0
    for number, kind, begin, stop in fields(data, start, end):
        if number != _TENSOR_DIM:
            break  # what follows the sizes may be long
        if kind == VARINT:
            rank += 1
        else:
            at = begin
            while at < stop:
                _, at = varint(data, at, stop)
                rank += 1
    return rank


def _text(data: mmap.mmap, start: int, end: int) -> str:
    return data[start:end].decode(errors="replace")
