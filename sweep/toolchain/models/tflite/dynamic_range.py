"""TFLite networks whose weights are integers while they compute in floats, and the same with weights as floats.

LiteRT rounds the activations of such a network to 8 bits as it runs; nothing else does. So code is compared with what
LiteRT gives for the weights as floats, and other runtimes with that too, but not as closely.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tflite

from sweep.study.importers.tflite.tflite_outline import GraphOutline
from sweep.toolchain.models.tflite.float_views import dequantised
from sweep.toolchain.models.tflite.tflite_view import stored_values

__all__ = ["distance", "rounded_weights", "with_float_weights"]

_TYPE, _DATA, _SCALE, _ZERO_POINT = 6, 4, 8, 10
"""Where a vtable has the offset of a field: of a tensor, a buffer, and the last two of a quantisation."""


def rounded_weights(graph: GraphOutline) -> list[int]:
    """The quantised constants that operators of floats take."""
    found = set()
    for operator in graph.operators:
        taken = [index for index in operator.inputs if index >= 0]
        made = {graph.tensors[index].dtype for index in operator.outputs}
        activations = [index for index in taken if not graph.tensors[index].is_constant]
        if made != {"float32"} or not activations or any(graph.tensors[index].scales for index in activations):
            continue
        found |= {
            index
            for index in taken
            if graph.tensors[index].is_constant and graph.tensors[index].scales and not graph.tensors[index].is_sparse
        }
    return sorted(found)


def with_float_weights(content: bytes, weights: Sequence[int]) -> bytes:
    """The file with these constants as floats: their content is added at its end, where offsets lead now."""
    data = bytearray(content)
    model = tflite.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    data += bytes(-len(data) % 4)
    empty = len(data)
    data += bytes(4)
    for index in weights:
        tensor = graph.Tensors(index)
        buffer = model.Buffers(tensor.Buffer())
        values = stored_values(tensor, buffer).reshape(tuple(tensor.ShapeAsNumpy()))
        floats = dequantised(values, tensor).tobytes()
        data += bytes(-(len(data) + 4) % 16)  # so that the floats begin at a multiple of 16
        _lead(data, buffer._tab.Pos + buffer._tab.Offset(_DATA), len(data))
        data += struct.pack("<I", len(floats)) + floats
        data[tensor._tab.Pos + tensor._tab.Offset(_TYPE)] = tflite.TensorType.FLOAT32
        about = tensor.Quantization()._tab
        for field in (_SCALE, _ZERO_POINT):
            if about.Offset(field):
                _lead(data, about.Pos + about.Offset(field), empty)
        data += bytes(-len(data) % 4)
    return bytes(data)


def distance(outputs: Sequence[npt.NDArray[np.float32]], expected: Sequence[npt.NDArray[np.float32]]) -> list[float]:
    """How far each output is from the expected one, relative to the largest value."""
    return [
        float(np.abs(one - other).max(initial=0.0) / max(np.abs(other).max(initial=0.0), 1e-30))
        for one, other in zip(outputs, expected, strict=True)
    ]


def _lead(data: bytearray, at: int, to: int) -> None:
    """Have the offset at a byte lead to another."""
    struct.pack_into("<I", data, at, to - at)
