"""New tables before an old flatbuffer, whose offsets lead into it.

Offsets of a flatbuffer lead forwards alone. So what is new is laid before the old bytes, which stay as they are: a new
root leads to new vectors, and these to new and to old tables alike.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Bytes", "Node", "Numbers", "Old", "Scalar", "TableNode", "Tables", "with_front"]

_ALIGNED = 64
"""The old bytes are moved by a multiple of this: contents of constants begin at multiples of 16."""


@dataclass(frozen=True, slots=True)
class Old:
    """What lies at a byte of the old file."""

    at: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number in a table."""

    kind: str
    """A letter of `struct`."""
    value: int


@dataclass(eq=False, slots=True)
class TableNode:
    """A new table: its fields by their numbers."""

    fields: Mapping[int, Scalar | Old | Node]


@dataclass(eq=False, slots=True)
class Tables:
    """A new vector of tables."""

    items: Sequence[TableNode | Old]


@dataclass(eq=False, slots=True)
class Numbers:
    """A new vector of 32-bit integers."""

    values: Sequence[int]


@dataclass(eq=False, slots=True)
class Bytes:
    """A new vector of bytes, whose content begins at a multiple of 16; a text where it ends with a zero."""

    content: bytes
    is_text: bool = False


Node = TableNode | Tables | Numbers | Bytes


def with_front(root: TableNode, identifier: bytes, old: bytes) -> bytes:
    """The old file behind a new root."""
    layout = _Layout()
    layout.place(root)
    shift = -(-layout.end // _ALIGNED) * _ALIGNED
    front = bytearray(shift)
    struct.pack_into("<I4s", front, 0, layout.positions[root], identifier)
    for node in layout.order:
        _write(front, node, layout, shift)
    return bytes(front) + old


@dataclass(slots=True)
class _Layout:
    """Where each new node lies: before all that it leads to."""

    end: int = 8
    positions: dict[Node, int] = field(default_factory=dict)
    order: list[Node] = field(default_factory=list)

    def place(self, root: Node) -> None:
        waiting = [root]
        while waiting:
            node = waiting.pop(0)
            before, size, step = _size(node)
            at = self.end + before
            at += -(at + (4 if isinstance(node, Bytes) else 0)) % step
            self.positions[node] = at
            self.order.append(node)
            self.end = at + size
            waiting += [child for child in _children(node) if not isinstance(child, Old)]


def _children(node: Node) -> list[Node | Old]:
    if isinstance(node, TableNode):
        return [value for value in node.fields.values() if not isinstance(value, Scalar)]
    return list(node.items) if isinstance(node, Tables) else []


def _size(node: Node) -> tuple[int, int, int]:
    """Bytes before and from its position on, and what that is a multiple of."""
    if isinstance(node, TableNode):
        places, size = _places(node)
        return 4 + 2 * (max(places, default=-1) + 1), size, 8
    if isinstance(node, Bytes):
        return 0, 4 + len(node.content) + int(node.is_text), 16
    return 0, 4 + 4 * len(node.items if isinstance(node, Tables) else node.values), 4


def _places(node: TableNode) -> tuple[dict[int, int], int]:
    """Where fields lie in a table, the largest first behind its offset and four bytes; and its size."""
    sizes = {
        index: struct.calcsize(f"<{value.kind}") if isinstance(value, Scalar) else 4
        for index, value in node.fields.items()
    }
    places, at = {}, 8
    for index in sorted(sizes, key=lambda index: -sizes[index]):
        places[index] = at
        at += sizes[index]
    return places, at


def _write(front: bytearray, node: Node, layout: _Layout, shift: int) -> None:
    at = layout.positions[node]

    def lead(place: int, target: Node | Old) -> None:
        to = shift + target.at if isinstance(target, Old) else layout.positions[target]
        struct.pack_into("<I", front, place, to - place)

    if isinstance(node, TableNode):
        places, size = _places(node)
        count = max(places, default=-1) + 1
        vtable = at - 4 - 2 * count
        struct.pack_into(f"<HH{count}H", front, vtable, 4 + 2 * count, size, *(places.get(i, 0) for i in range(count)))
        struct.pack_into("<i", front, at, at - vtable)
        for index, value in node.fields.items():
            if isinstance(value, Scalar):
                struct.pack_into(f"<{value.kind}", front, at + places[index], value.value)
            else:
                lead(at + places[index], value)
    elif isinstance(node, Tables):
        struct.pack_into("<I", front, at, len(node.items))
        for index, item in enumerate(node.items):
            lead(at + 4 + 4 * index, item)
    elif isinstance(node, Numbers):
        struct.pack_into(f"<I{len(node.values)}i", front, at, len(node.values), *node.values)
    else:
        struct.pack_into(f"<I{len(node.content)}s", front, at, len(node.content), node.content)
