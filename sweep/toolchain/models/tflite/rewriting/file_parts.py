"""A TFLite file as its tables, and a new root for some of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sweep.study.importers.tflite.flatbuffer_scan import FlatBuffer, Table
from sweep.toolchain.models.tflite.rewriting.flatbuffer_front import (
    Bytes,
    Node,
    Numbers,
    Old,
    Scalar,
    TableNode,
    Tables,
    with_front,
)

__all__ = ["FileParts", "Operator", "copied"]

_IDENTIFIER = b"TFL3"
_CODES, _GRAPHS, _BUFFERS = 1, 2, 4
_MODEL_OFFSETS = (3, 5, 6)
"""Description and metadata. Signatures go: they name inputs and outputs, which are others now."""
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS = 0, 1, 2, 3
_TENSOR_FIELDS = {0: "", 1: "b", 2: "I", 3: "", 4: "", 5: "B", 6: "", 7: "", 8: "B", 9: ""}
_OPERATOR_FIELDS = {
    0: "I", 1: "", 2: "", 3: "B", 4: "", 5: "", 6: "b", 7: "", 8: "", 9: "Q", 10: "Q", 11: "B", 12: "",
}  # fmt: skip
"""Fields of the schema: a letter of `struct` for a number, none for an offset."""


@dataclass(slots=True)
class Operator:
    """An operator of the first graph."""

    table: Table
    code: int
    """Of `BuiltinOperator`."""
    custom: str
    inputs: list[int]
    outputs: list[int]
    node: TableNode | None = None
    """What takes its place."""

    def written(self) -> TableNode | Old:
        """As it stands in the new file."""
        if self.node is not None:
            return self.node
        if (self.inputs, self.outputs) == (list(self.table.numbers(1, "i")), list(self.table.numbers(2, "i"))):
            return Old(self.table.at)
        return copied(self.table, _OPERATOR_FIELDS, {1: Numbers(self.inputs), 2: Numbers(self.outputs)})


@dataclass(slots=True)
class FileParts:
    """What is changed of a file whose outline shows that it is whole."""

    content: bytes
    model: Table
    codes: list[TableNode | Old]
    buffers: list[TableNode | Old]
    tensors: list[TableNode | Old]
    inputs: list[int]
    outputs: list[int]
    operators: list[Operator]
    graph_tables: list[Table]
    tensor_tables: list[Table] = field(default_factory=list)

    @classmethod
    def of(cls, content: bytes) -> FileParts:
        """The parts of a file."""
        model = FlatBuffer(content).root(_IDENTIFIER)
        graphs = list(model.tables(_GRAPHS))
        tensors = list(graphs[0].tables(_TENSORS))
        return cls(
            content=content,
            model=model,
            codes=[Old(table.at) for table in model.tables(_CODES)],
            buffers=[Old(table.at) for table in model.tables(_BUFFERS)],
            tensors=[Old(table.at) for table in tensors],
            inputs=list(graphs[0].numbers(_INPUTS, "i")),
            outputs=list(graphs[0].numbers(_OUTPUTS, "i")),
            operators=list(operators_of(model, graphs[0])),
            graph_tables=graphs,
            tensor_tables=tensors,
        )

    def add_code(self, code: int, version: int) -> int:
        """A builtin operator to refer to; its number."""
        self.codes.append(TableNode({0: Scalar("b", min(code, 127)), 2: Scalar("i", version), 3: Scalar("i", code)}))
        return len(self.codes) - 1

    def add_integers(self, name: str, values: Sequence[int]) -> int:
        """A constant of 32-bit integers in one dimension; its number."""
        self.buffers.append(TableNode({0: Bytes(struct.pack(f"<{len(values)}i", *values))}))
        self.tensors.append(
            TableNode(
                {
                    0: Numbers([len(values)]),
                    1: Scalar("b", 2),
                    2: Scalar("I", len(self.buffers) - 1),
                    3: Bytes(name.encode(), is_text=True),
                }
            )
        )
        return len(self.tensors) - 1

    def replace_tensor(self, index: int, **changed: Node | Scalar) -> None:
        """Let a tensor have another `buffer` or `name`."""
        numbers = {"buffer": 2, "name": 3}
        self.tensors[index] = copied(
            self.tensor_tables[index], _TENSOR_FIELDS, {numbers[name]: value for name, value in changed.items()}
        )

    def written(self) -> bytes:
        """The new file."""
        own = self.graph_tables[0]
        graph = TableNode(
            {
                _TENSORS: Tables(self.tensors),
                _INPUTS: Numbers(self.inputs),
                _OUTPUTS: Numbers(self.outputs),
                _OPERATORS: Tables([operator.written() for operator in self.operators]),
                **_offsets(own, (4,)),
            }
        )
        root = TableNode(
            {
                0: Scalar("I", self.model.scalar(0, "I")),
                _CODES: Tables(self.codes),
                _GRAPHS: Tables([graph, *(Old(table.at) for table in self.graph_tables[1:])]),
                _BUFFERS: Tables(self.buffers),
                **_offsets(self.model, _MODEL_OFFSETS),
            }
        )
        return with_front(root, _IDENTIFIER, self.content)


def operators_of(model: Table, graph: Table) -> Iterator[Operator]:
    """The operators of a graph."""
    codes = []
    for table in model.tables(_CODES):
        old, new = table.scalar(0, "b"), table.scalar(3, "i")
        codes.append((max(old, new), table.text(1)))
    for table in graph.tables(_OPERATORS):
        code, custom = codes[table.scalar(0, "I")]
        yield Operator(table, code, custom, list(table.numbers(1, "i")), list(table.numbers(2, "i")))


def copied(table: Table, kinds: dict[int, str], changed: dict[int, Node | Scalar]) -> TableNode:
    """A table with some fields changed; the others lead to what they led to."""
    fields: dict[int, Scalar | Old | Node] = {}
    for index, kind in kinds.items():
        if index in changed:
            fields[index] = changed[index]
        elif kind and table.has(index):
            fields[index] = Scalar(kind, table.scalar(index, kind))
        elif not kind:
            fields.update(_offsets(table, (index,)))
    return TableNode(fields)


def _offsets(table: Table, indices: Sequence[int]) -> dict[int, Old]:
    found = ((index, table.target(index)) for index in indices)
    return {index: Old(at) for index, at in found if at is not None}
