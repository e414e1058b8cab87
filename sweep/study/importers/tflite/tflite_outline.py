"""What a TFLite file holds beside its weights, read from its bytes and held against the schema: tensors, operators,
inputs and outputs of its graphs. Whatever reads the file with the library for it, which checks nothing, asks here
first.

Numbers of fields are those of `schema.fbs` of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.study.importers.importer import ModelInput
from sweep.study.importers.tflite.flatbuffer_scan import FlatBuffer, NoFlatBuffer, Table

__all__ = ["CUSTOM", "GraphOutline", "OperatorOutline", "TensorOutline", "TfliteOutline", "outline_of", "read_outline"]

CUSTOM = 32
"""`BuiltinOperator.CUSTOM`."""
_PLACEHOLDER = 127
"""Of the old field of one byte: the code is in the new one."""
_DTYPES = {
    0: ("float32", 32), 1: ("float16", 16), 2: ("int32", 32), 3: ("uint8", 8), 4: ("int64", 64), 6: ("bool", 8),
    7: ("int16", 16), 8: ("complex64", 64), 9: ("int8", 8), 10: ("float64", 64), 11: ("complex128", 128),
    12: ("uint64", 64), 15: ("uint32", 32), 16: ("uint16", 16), 17: ("int4", 4), 18: ("bfloat16", 16),
}  # fmt: skip
"""Name and bits of a `TensorType`; texts, resources and variants have no size."""
_MOST_DIMENSIONS = 8
_MOST_ELEMENTS = 1 << 40


@dataclass(frozen=True, slots=True)
class TensorOutline:
    """A tensor of a graph."""

    name: str
    """As the file has it; several tensors may have the same, or none."""
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    """The shape with -1 where the file leaves a dimension open; empty where it leaves none."""
    dtype: str | None
    """By numpy's name; None: texts, resources, and types that this program does not know."""
    is_constant: bool
    is_variable: bool
    """Whether it keeps its value from call to call."""
    is_sparse: bool
    scales: tuple[float, ...]
    """Of its quantisation, one or one for each index along `axis`; empty: it is not quantised."""
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True, slots=True)
class OperatorOutline:
    """An operator of a graph."""

    code: int
    """Of `BuiltinOperator`."""
    custom: str
    """Its name, where it is no built-in one."""
    inputs: tuple[int, ...]
    """Indices of tensors; -1: this optional one is not there."""
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GraphOutline:
    """A graph of a file."""

    tensors: Sequence[TensorOutline]
    operators: Sequence[OperatorOutline]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def unique_names(self) -> list[str]:
        """A name for each tensor: its own, or one with its index where that is empty or taken."""
        taken: set[str] = set()
        names = []
        for index, tensor in enumerate(self.tensors):
            name = tensor.name if tensor.name and tensor.name not in taken else f"{tensor.name or 'tensor'}.{index}"
            taken.add(name)
            names.append(name)
        return names


@dataclass(frozen=True, slots=True)
class TfliteOutline:
    """A file."""

    graphs: Sequence[GraphOutline]
    """The first is the network; others are bodies of its control flow."""

    @property
    def is_quantised(self) -> bool:
        """Whether it computes with codes of 8 bits: weights alone may be codes in a network of floats."""
        tensors = (tensor for graph in self.graphs for tensor in graph.tensors)
        return any(tensor.scales and tensor.dtype in ("int8", "uint8") and not tensor.is_constant for tensor in tensors)

    def model_inputs(self) -> list[ModelInput]:
        """The inputs of the network, by their tensors' names."""
        graph, names = self.graphs[0], self.graphs[0].unique_names()
        return [_model_input(names[index], graph.tensors[index]) for index in graph.inputs]


def read_outline(path: Path) -> TfliteOutline:
    """The outline of a file, whose every offset, length and index is inside it.

    Raises:
        ValueError: it is no TFLite file, or a damaged one.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return outline_of(data)


def outline_of(data: Any) -> TfliteOutline:
    """The outline of a file's bytes, or of a map of them. Raises ValueError, as `read_outline` does."""
    buffer = FlatBuffer(data)
    model = buffer.root(b"TFL3")
    codes = [_code(table) for table in model.tables(1)]
    sizes = [_buffer_bytes(table, len(data)) for table in model.tables(4)]
    for signature in model.tables(7):  # LiteRT reads these when it opens a file
        for index in (0, 1):
            for entry in signature.tables(index):
                entry.text(0)
    graphs = [_graph(table, codes, sizes) for table in model.tables(2)]
    if not graphs or not graphs[0].outputs:
        raise NoFlatBuffer("has no graph that gives something")
    return TfliteOutline(graphs)


def _code(table: Table) -> tuple[int, str]:
    old, new = table.scalar(0, "b"), table.scalar(3, "i")
    code = new if old == _PLACEHOLDER else max(old, new)
    return code, table.text(1) if code == CUSTOM else ""


def _buffer_bytes(table: Table, file_bytes: int) -> int:
    """Of a constant's content. A file above 2 GB keeps it behind the flatbuffer."""
    span = table.span(0, 1)
    offset, size = table.scalar(1, "Q"), table.scalar(2, "Q")
    if offset > 1:
        if offset + size > file_bytes:
            raise NoFlatBuffer("ends too soon")
        return size
    return 0 if span is None else span.length


def _graph(table: Table, codes: Sequence[tuple[int, str]], sizes: Sequence[int]) -> GraphOutline:
    tensors = [_tensor(each, sizes) for each in table.tables(0)]
    inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
    operators = [_operator(each, codes) for each in table.tables(3)]
    known = {index for index, tensor in enumerate(tensors) if tensor.is_constant or tensor.is_variable}
    if not all(0 <= index < len(tensors) for index in (*inputs, *outputs)):
        raise NoFlatBuffer("has inputs or outputs that are not there")
    known |= set(inputs)
    for operator in operators:  # in the order in which they run: what leads in a circle comes too late here
        if not all(index == -1 or index in known for index in operator.inputs):
            raise NoFlatBuffer("has an operator before what it takes")
        if not all(0 <= index < len(tensors) for index in operator.outputs):
            raise NoFlatBuffer("has an operator whose outputs are not there")
        known |= set(operator.outputs)
    if not known.issuperset(outputs):
        raise NoFlatBuffer("has an output that nothing makes")
    return GraphOutline(tensors, operators, inputs, outputs)


def _operator(table: Table, codes: Sequence[tuple[int, str]]) -> OperatorOutline:
    index = table.scalar(0, "I")
    if index >= len(codes):
        raise NoFlatBuffer("has an operator without a name")
    for options in (4, 12):
        table.table(options)
    table.span(5, 1)
    table.numbers(8, "i")
    code, custom = codes[index]
    return OperatorOutline(code, custom, table.numbers(1, "i"), table.numbers(2, "i"))


def _tensor(table: Table, sizes: Sequence[int]) -> TensorOutline:
    shape, signature = table.numbers(0, "i"), table.numbers(7, "i")
    buffer = table.scalar(2, "I")
    if (
        len(shape) > _MOST_DIMENSIONS
        or any(size < -1 for size in shape)
        or (signature and len(signature) != len(shape))
    ):
        raise NoFlatBuffer("has a tensor whose shape is none")
    elements = math.prod(max(size, 1) for size in shape) if 0 not in shape else 0
    if elements > _MOST_ELEMENTS or buffer >= max(1, len(sizes)):
        raise NoFlatBuffer("has a tensor that no memory holds, or whose content is not there")
    held = sizes[buffer] if sizes else 0
    dtype, bits = _DTYPES.get(table.scalar(1, "b"), (None, 0))
    sparsity = table.table(6)
    if held and bits and sparsity is None and held != (elements * bits + 7) // 8:
        raise NoFlatBuffer("has a tensor of another size than its content")
    if sparsity is not None:
        _check_sparsity(sparsity)
    quantisation = table.table(4)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis = 0
    if quantisation is not None:
        scales, zero_points, axis = (
            quantisation.numbers(2, "f"),
            quantisation.numbers(3, "q"),
            quantisation.scalar(6, "i"),
        )
        if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
            raise NoFlatBuffer("has a quantisation of another size than its tensor")
    return TensorOutline(
        name=table.text(3),
        shape=shape,
        signature=signature,
        dtype=dtype,
        is_constant=bool(held) or (elements == 0 and dtype is not None),
        is_variable=bool(table.scalar(5, "B")),
        is_sparse=sparsity is not None,
        scales=scales,
        zero_points=zero_points,
        axis=axis,
    )


def _check_sparsity(table: Table) -> None:
    table.numbers(0, "i")
    table.numbers(1, "i")
    for dimension in table.tables(2):
        for kind, values in ((2, 3), (4, 5)):
            indices = dimension.table(values)
            if indices is not None:
                indices.numbers(0, {1: "i", 2: "H", 3: "B"}.get(dimension.scalar(kind, "B"), "B"))


def _model_input(name: str, tensor: TensorOutline) -> ModelInput:
    sizes = tensor.signature or tensor.shape
    return ModelInput(name, tuple("?" if size < 0 else size for size in sizes), tensor.dtype)
