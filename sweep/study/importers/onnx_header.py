"""The inputs that an ONNX file declares, read from its bytes without the onnx package, which takes 0.3 s to import."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from sweep.study.importers.importer import ModelInput
from sweep.study.importers.protobuf_scan import BYTES, VARINT, Field, NoMessage, fields, varint

__all__ = ["onnx_inputs"]

_GRAPH_OF_MODEL, _OPSET_OF_MODEL = 7, 8
_NODE, _INITIALIZER, _INPUT = 1, 5, 11
_NAME_OF_TENSOR = 8
_NAME, _TYPE = 1, 2
_TENSOR_TYPE, _SHAPE, _DIM = 1, 2, 1
_DIM_VALUE, _DIM_PARAM = 1, 2
_ELEM_TYPE = 1
"""Field numbers of `onnx.proto`."""
_DTYPES = {
    number: name
    for number, name in enumerate(
        "- float32 uint8 int8 uint16 int16 int32 int64 - bool float16 float64 uint32 uint64 - - bfloat16".split()
    )
    if name != "-"
}
"""Of `TensorProto.DataType`."""
_LARGEST = (1 << 63) - 1
"""Of a dimension: a varint above it is a negative number."""


def onnx_inputs(path: Path) -> list[ModelInput]:
    """The inputs a caller feeds, in the file's order: those that old files list beside them and are weights are left
    out.

    Raises:
        ValueError: the file is no ONNX model, or a damaged one.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            model = Field(0, BYTES, 0, len(data))
            graphs = list(_parts(data, model, _GRAPH_OF_MODEL))
            nodes, weights, inputs = 0, set(), []
            for part in fields(data, graphs[-1].start, graphs[-1].end):
                if part[:2] == (_INITIALIZER, BYTES):
                    weights.add(_text(data, part, _NAME_OF_TENSOR))
                elif part[:2] == (_INPUT, BYTES):
                    inputs.append(ModelInput(_text(data, part, _NAME), _shape(data, part), _dtype(data, part)))
                nodes += part[:2] == (_NODE, BYTES)
            if not nodes or not any(_parts(data, model, _OPSET_OF_MODEL)):  # what stands behind all else in the file
                raise NoMessage
        except (NoMessage, IndexError):
            raise ValueError(f"{path} is no ONNX model, or a damaged one") from None
    return [declared for declared in inputs if declared.name not in weights]


def _dtype(data: mmap.mmap, declared: Field) -> str | None:
    for type_ in _parts(data, declared, _TYPE):
        for tensor in _parts(data, type_, _TENSOR_TYPE):
            for part in fields(data, tensor.start, tensor.end):
                if part[:2] == (_ELEM_TYPE, VARINT):
                    return _DTYPES.get(varint(data, part.start, part.end)[0])
    return None


def _shape(data: mmap.mmap, declared: Field) -> tuple[int | str, ...] | None:
    """None where the input is no tensor, or one of any rank."""
    for type_ in _parts(data, declared, _TYPE):
        for tensor in _parts(data, type_, _TENSOR_TYPE):
            for shape in _parts(data, tensor, _SHAPE):
                return tuple(_dimension(data, dim) for dim in _parts(data, shape, _DIM))
    return None


def _dimension(data: mmap.mmap, dim: Field) -> int | str:
    """Its size, or the name that stands for it: `?` where it has none."""
    for part in fields(data, dim.start, dim.end):
        if part[:2] == (_DIM_VALUE, VARINT):
            size, _ = varint(data, part.start, part.end)
            return size if 0 < size <= _LARGEST else "?"
    return _text(data, dim, _DIM_PARAM) or "?"


def _text(data: mmap.mmap, message: Field, number: int) -> str:
    for part in _parts(data, message, number):
        return data[part.start : part.end].decode(errors="replace")
    return ""


def _parts(data: mmap.mmap, message: Field, number: int) -> Iterator[Field]:
    """The fields of a number that have a length."""
    return (part for part in fields(data, message.start, message.end) if part[:2] == (number, BYTES))
