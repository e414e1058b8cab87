"""The inputs and outputs of a TFLite network as an import tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.errors import ImportFailed
from sweep.study.importers.tflite.tflite_outline import GraphOutline, TensorOutline
from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.loader import TensorType

__all__ = ["input_types", "output_types"]

_RANGES = {"int8": (-128, 128), "uint8": (0, 256), "int16": (-32768, 32768)}


def input_types(graph: GraphOutline, shapes: Mapping[int, Sequence[int]]) -> list[TensorType]:
    """Of the inputs. A quantised one may hold all that its type does. Raises ImportFailed: one is of no number type."""
    return [_type_of(graph, index, shapes) for index in graph.inputs]


def output_types(graph: GraphOutline, shapes: Mapping[int, Sequence[int]]) -> list[TensorType]:
    """Of the outputs."""
    return [_type_of(graph, index, shapes) for index in graph.outputs]


def _type_of(graph: GraphOutline, index: int, shapes: Mapping[int, Sequence[int]]) -> TensorType:
    tensor, name = graph.tensors[index], graph.unique_names()[index]
    if tensor.dtype is None:
        raise ImportFailed(f"{name!r} holds no numbers: texts and resources are not imported")
    is_quantised = _is_quantised(tensor)
    limits = _RANGES.get(tensor.dtype) if is_quantised else None
    values = None if limits is None else Values(limits=limits)
    return TensorType(name, list(shapes.get(index, tensor.shape)), tensor.dtype, is_quantised, values)


def _is_quantised(tensor: TensorOutline) -> bool:
    return len(tensor.scales) == 1 and tensor.scales[0] > 0 and tensor.dtype in _RANGES
