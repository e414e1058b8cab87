"""Small TFLite files for tests, written table by table: no converter of TensorFlow is needed to make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

Array = npt.NDArray[Any]

TYPES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "string": 5, "bool": 6, "int16": 7, "int8": 9,
    "complex64": 8, "int4": 17, "resource": 13,
}  # fmt: skip
SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


@dataclass(frozen=True)
class Byte:
    """A field of one byte."""

    value: int


@dataclass(frozen=True)
class Long:
    """A field of eight bytes."""

    value: int


@dataclass(frozen=True)
class Repeated:
    """A vector of one table, again and again."""

    table: dict[int, Any]
    count: int


Table = dict[int, Any]
"""Fields by their number in the schema: int, float, bool, Byte, Long, text, bytes, array, table, list of tables."""


def written(root: Table, identifier: bytes = b"TFL3") -> bytes:
    """The flatbuffer of a table."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, fields: Table) -> int:
    placed = {
        number: _reference(builder, value)
        for number, value in fields.items()
        if isinstance(value, str | bytes | list | dict | np.ndarray | Repeated)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for number, value in fields.items():
        if number in placed:
            builder.PrependUOffsetTRelativeSlot(number, placed[number], 0)
        elif isinstance(value, bool):
            builder.PrependBoolSlot(number, value, False)
        elif isinstance(value, Byte):
            builder.PrependInt8Slot(number, value.value, 0)
        elif isinstance(value, Long):
            builder.PrependInt64Slot(number, value.value, 0)
        elif isinstance(value, float):
            builder.PrependFloat32Slot(number, value, 0.0)
        else:
            builder.PrependInt32Slot(number, int(value), 0)
    return int(builder.EndObject())


def _reference(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), 16)
        builder.head -= len(value)
        builder.Bytes[builder.head : builder.head + len(value)] = value
        return int(builder.EndVector())
    if isinstance(value, dict):
        return _table(builder, value)
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    if isinstance(value, Repeated):
        offsets = [_table(builder, value.table)] * value.count
    else:
        offsets = [_table(builder, each) for each in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def ints(*numbers: int) -> Array:
    """A vector of the schema."""
    return np.asarray(numbers, np.int32)


@dataclass
class Quantised:
    """A scale, or one for each index along an axis, and zero points."""

    scale: float | Sequence[float]
    zero_point: int = 0
    axis: int = 0


@dataclass
class Network:
    """A graph in the making. Tensors are told by their index."""

    tensors: list[Table] = field(default_factory=list)
    operators: list[Table] = field(default_factory=list)
    codes: list[Table] = field(default_factory=list)
    buffers: list[Table] = field(default_factory=lambda: [{}])
    more: dict[int, Table] = field(default_factory=dict)
    """Further fields of tensors."""

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        quantised: Quantised | None = None,
        values: Array | None = None,
        **fields: Any,
    ) -> int:
        """Add a tensor; a constant where it has values."""
        buffer = 0
        if values is not None:
            buffer = len(self.buffers)
            self.buffers.append({0: np.ascontiguousarray(values).tobytes()})
        table: Table = {0: ints(*shape), 1: Byte(TYPES[dtype]), 2: buffer, 3: name}
        if quantised is not None:
            scales = np.atleast_1d(np.asarray(quantised.scale, np.float32))
            zeros = np.full(scales.shape, quantised.zero_point, np.int64)
            table[4] = {2: scales, 3: zeros, 6: quantised.axis}
        table |= {int(number.removeprefix("field_")): value for number, value in fields.items()}
        self.tensors.append(table)
        return len(self.tensors) - 1

    def constant(self, values: Any, dtype: str = "int32", quantised: Quantised | None = None) -> int:
        """Add a constant, of numpy's type of that name."""
        array = np.asarray(values, dtype)
        return self.tensor(f"constant_{len(self.tensors)}", array.shape, dtype, quantised, array)

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: tuple[str, Table] | None = None
    ) -> None:
        """Add an operator; options: the name of their table, and its fields. A name that is not built in is custom."""
        code = getattr(tflite.BuiltinOperator, name, None)
        about: Table = {0: Byte(min(32 if code is None else code, 127)), 2: 1, 3: 32 if code is None else code}
        if code is None:
            about[1] = name
        self.codes.append(about)
        table: Table = {0: len(self.codes) - 1, 1: ints(*inputs), 2: ints(*outputs)}
        if options is not None:
            table |= {3: Byte(getattr(tflite.BuiltinOptions, options[0])), 4: options[1]}
        self.operators.append(table)

    def graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Table:
        """The table of the graph."""
        return {0: self.tensors, 1: ints(*inputs), 2: ints(*outputs), 3: self.operators, 4: "main"}

    def written(self, inputs: Sequence[int], outputs: Sequence[int], *others: Table) -> bytes:
        """The file; others: graphs that it calls."""
        graphs = [self.graph(inputs, outputs), *others]
        return written({0: 3, 1: self.codes, 2: graphs, 3: "made for a test", 4: self.buffers})
