"""The inputs and outputs of an ONNX network as an import tells them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.onnx_input_kinds import input_kinds, places_and_lengths
from sweep.toolchain.models.onnx_shapes import shape_of

__all__ = ["computes_in_halves", "input_types", "output_types", "type_of"]

_KEEPS_VALUES = frozenset(
    "Concat Expand Flatten Gather Identity MaxPool Pad Reshape Slice Split Squeeze Tile Transpose Unsqueeze".split()
)

_ROUNDED = 0.05
"""Of the largest value: what codes that are rounded the other way come to in a float output that is made of them."""
_HALVES = 1e-2
"""The same of ten units in the last place of a float of 16 bits, as an output of that type may be off."""


def computes_in_halves(model: Any) -> bool:
    """Whether a network gives on floats of 16 bits inside; those that are constants do not count.

    model: its shapes are inferred, and what is constant in it is folded.
    """
    from onnx import TensorProto

    values = (*model.graph.value_info, *model.graph.input)
    return any(value.type.tensor_type.elem_type == TensorProto.FLOAT16 for value in values)


def type_of(value: Any, *, is_quantised: bool = False) -> TensorType:
    """Of a typed value."""
    from onnx import helper

    dtype = str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return TensorType(value.name, shape_of(value), dtype, is_quantised)


def input_types(model: Any, original: Any = None) -> list[TensorType]:
    """Of the inputs, with what they may hold as far as the network tells.

    model: its shapes are inferred. original: what it was before its recurrent layers were written as steps.
    """
    held = input_kinds(model) | ({} if original is None else places_and_lengths(original, model))
    return [replace(type_of(value), values=held.get(value.name)) for value in model.graph.input]


def output_types(model: Any) -> list[TensorType]:
    """Of the outputs, those that quantising makes marked."""
    makers = {name: node for node in model.graph.node for name in node.output if name}
    return [_output_type(model, value, makers) for value in model.graph.output]


def _output_type(model: Any, value: Any, makers: dict[str, Any]) -> TensorType:
    maker = _maker(value.name, makers)
    if maker is not None and (maker.op_type == "QuantizeLinear" or maker.op_type.startswith("QLinear")):
        return type_of(value, is_quantised=True)
    found = type_of(value)
    if not found.dtype.startswith("float"):
        return found
    if (
        maker is not None
        and maker.op_type == "DequantizeLinear"
        and (step := _number(model, maker.input[1])) is not None
    ):
        return replace(found, step=step)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return replace(found, tolerance=_ROUNDED)
    return replace(found, tolerance=_HALVES) if computes_in_halves(model) else found


def _maker(name: str, makers: dict[str, Any]) -> Any | None:
    """What makes a value, or the one that it is taken from as it is."""
    for _ in range(len(makers)):
        node = makers.get(name)
        if node is None or node.op_type not in _KEEPS_VALUES:
            break
        name = node.input[0]
    return makers.get(name)


def _number(model: Any, name: str) -> float | None:
    """A constant of one element."""
    from onnx import numpy_helper

    found = [numpy_helper.to_array(stored) for stored in model.graph.initializer if stored.name == name]
    return float(found[0].item()) if found and found[0].size == 1 else None
