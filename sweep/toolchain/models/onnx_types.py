"""The inputs and outputs of an ONNX network as an import tells them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.onnx_input_kinds import input_kinds, places_and_lengths
from sweep.toolchain.models.onnx_shapes import shape_of

__all__ = ["input_types", "output_types", "type_of"]

_KEEPS_VALUES = frozenset(
    "Concat Expand Flatten Gather Identity MaxPool Pad Reshape Slice Split Squeeze Tile Transpose Unsqueeze".split()
)


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
    return [type_of(value, is_quantised=_is_quantised(value.name, makers)) for value in model.graph.output]


def _is_quantised(name: str, makers: dict[str, Any]) -> bool:
    """Whether a value is the output of a quantisation, or is taken from one as it is."""
    for _ in range(len(makers)):
        node = makers.get(name)
        if node is None or node.op_type not in _KEEPS_VALUES:
            break
        name = node.input[0]
    node = makers.get(name)
    return node is not None and (node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"))
