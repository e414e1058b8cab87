"""The multiply-accumulates of ONNX's operators, from the shapes of what they take and give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.inspection.network_graph import Work

__all__ = ["MULTIPLYING", "NodeShapes", "work_of"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeShapes:
    """A node whose multiply-accumulates are asked for."""

    inputs: Sequence[Shape | None]
    """None where an input is left out or its shape is open."""
    output: Shape
    attributes: Mapping[str, Any]
    constants: Sequence[str | None]
    """Of each input the constant that it is, None where it is none."""

    def shape(self, index: int) -> Shape:
        """Raises LookupError where it is not known."""
        shape = self.inputs[index]
        if shape is None:
            raise LookupError(index)
        return shape

    def work(self, macs: int, *weights: int) -> Work:
        """Work in which every number of these inputs takes an equal part, where they are constants."""
        used = {}
        for index in weights:
            name, size = self.constants[index], math.prod(self.shape(index))
            if name is not None and size:
                used[name] = macs // size
        return Work(macs, used)


def work_of(operator: str, node: NodeShapes) -> Work | None:
    """None of an operator that multiplies no matrices. Raises LookupError where a shape that it takes is not known."""
    count = MULTIPLYING.get(operator)
    return count(node) if count else None


def _convolution(weight: int) -> Callable[[NodeShapes], Work]:
    return lambda node: node.work(math.prod(node.output) * math.prod(node.shape(weight)[1:]), weight)


def _transposed_convolution(node: NodeShapes) -> Work:
    return node.work(math.prod(node.shape(0)) * math.prod(node.shape(1)[1:]), 1)


def _product(left: int, right: int) -> Callable[[NodeShapes], Work]:
    """Of the inputs at these places; the right one is the weight where both are constants."""

    def count(node: NodeShapes) -> Work:
        shape, is_transposed = node.shape(left), node.attributes.get("transA")
        depth = shape[-2] if is_transposed and len(shape) > 1 else shape[-1]
        weight = right if node.constants[right] is not None else left
        return node.work(math.prod(node.output) * depth, weight)

    return count


def _recurrent(weight: int, recurrence: int) -> Callable[[NodeShapes], Work]:
    def count(node: NodeShapes) -> Work:
        steps = math.prod(node.shape(0)[:2])  # of the sequence, times the batch
        used = {}
        for index in (weight, recurrence):
            name = node.constants[index]
            if name is not None:
                used[name] = steps
        return Work(steps * sum(math.prod(node.shape(index)) for index in (weight, recurrence)), used)

    return count


def _packed(node: NodeShapes) -> Work:
    """Weights of a few bits, several in a byte: their zeros are not counted."""
    return Work(math.prod(node.output) * int(node.attributes["K"]))


def _attention(node: NodeShapes) -> Work:
    """Queries with keys, then their weights with values."""
    keys = node.shape(1)[-2]
    past = node.inputs[4] if len(node.inputs) > 4 else None
    keys += past[-2] if past else 0
    return Work((math.prod(node.shape(0)) + math.prod(node.output)) * keys)


def _einsum(node: NodeShapes) -> Work | None:
    equation = node.attributes.get("equation", "")
    text = equation.decode() if isinstance(equation, bytes) else str(equation)
    terms = text.replace(" ", "").partition("->")[0].split(",")
    if len(terms) != 2 or "." in text:
        return None
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        sizes.update(zip(term, node.shape(index), strict=True))
    weight = 1 if node.constants[1] is not None else 0
    return node.work(math.prod(sizes.values()), weight)


MULTIPLYING: Mapping[str, Callable[[NodeShapes], Work | None]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "com.microsoft.FusedConv", "com.microsoft.NhwcFusedConv"), _convolution(1)),
    "DeformConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    **dict.fromkeys(
        (
            *("Gemm", "MatMul", "MatMulInteger", "com.microsoft.FusedGemm", "com.microsoft.FusedMatMul"),
            *("com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat"),
            "com.microsoft.TransposeMatMul",
        ),
        _product(0, 1),
    ),
    "QLinearMatMul": _product(0, 3),
    "com.microsoft.QGemm": _product(0, 3),
    "com.microsoft.MatMulNBits": _packed,
    **dict.fromkeys(("RNN", "GRU", "LSTM", "com.microsoft.DynamicQuantizeLSTM"), _recurrent(1, 2)),
    "Attention": _attention,
    "Einsum": _einsum,
}
"""Operator -> how its work is counted."""
