"""The inputs and outputs of a TFLite network as an import tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.errors import ImportFailed
from sweep.study.importers.tflite.tflite_outline import GraphOutline, TensorOutline
from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.loader import Quantisation, TensorType

__all__ = ["input_types", "is_quantised", "output_types"]

_RANGES = {"int8": (-128, 128), "uint8": (0, 256), "int16": (-32768, 32768)}


def input_types(graph: GraphOutline, shapes: Mapping[int, Sequence[int]]) -> list[TensorType]:
    """Of the inputs. A quantised one may hold all that its type does. Raises ImportFailed: one is of no number type."""
    return [_type_of(graph, index, shapes) for index in graph.inputs]


def output_types(graph: GraphOutline, shapes: Mapping[int, Sequence[int]]) -> list[TensorType]:
    """Of the outputs."""
    return [_type_of(graph, index, shapes, step=_step(graph, index)) for index in graph.outputs]


def is_quantised(tensor: TensorOutline) -> bool:
    """Whether its integers stand for numbers between two steps."""
    return bool(tensor.scales) and tensor.scales[0] > 0 and tensor.dtype in _RANGES


def _type_of(
    graph: GraphOutline, index: int, shapes: Mapping[int, Sequence[int]], step: float | None = None
) -> TensorType:
    tensor, name = graph.tensors[index], graph.unique_names()[index]
    if tensor.dtype is None:
        raise ImportFailed(f"{name!r} holds no numbers: texts and resources are not imported")
    shape = list(shapes.get(index, tensor.shape))
    if not is_quantised(tensor):
        return TensorType(name, shape, tensor.dtype, step=step)
    quantisation = Quantisation(tensor.scales[0], tensor.zero_points[0] if tensor.zero_points else 0)
    values = Values(limits=_RANGES[tensor.dtype])
    return TensorType(name, shape, tensor.dtype, is_quantised=True, values=values, quantisation=quantisation)


def _step(graph: GraphOutline, output: int) -> float | None:
    """Of the quantised tensors that a float output is made of, the largest scale: what one step of these is in it where
    the operators between do not make numbers larger.
    """
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    waiting, seen, scales = [output], {output}, []
    while waiting:
        index = waiting.pop()
        tensor = graph.tensors[index]
        if is_quantised(tensor):
            scales += [] if tensor.is_constant else [tensor.scales[0]]
        elif index in makers and tensor.dtype == "float32":
            new = {each for each in makers[index].inputs if each >= 0} - seen
            seen |= new
            waiting += new
    return max(scales, default=None)
