"""What TVM's importer takes and its code does otherwise, or not at all: such a network is rewritten."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_shapes import shape_of
from sweep.toolchain.models.rewriting.rules.arithmetic import OF_NOTHING
from sweep.toolchain.models.rewriting.rules.pooling import pads_otherwise
from sweep.toolchain.models.rewriting.rules.resizing import is_whole

__all__ = ["check_as_it_is"]

_FLOAT, _BOOL, _HALF, _UINT64 = 1, 9, 10, 13
_FLOATS = (1, 10, 11, 16)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the values of a network."""

    types: Mapping[str, Any]
    weights: Mapping[str, Any]
    opset: int

    def array(self, node: Any, index: int) -> Any:
        """A stored input of a node; None where it is none."""
        from onnx import numpy_helper

        name = node.input[index] if index < len(node.input) else ""
        return numpy_helper.to_array(self.weights[name]) if name in self.weights else None

    def element(self, name: str) -> int:
        """The kind of a value's elements, as the onnx package numbers it; 0 where it is not known."""
        if name in self.weights:
            return int(self.weights[name].data_type)
        return int(self.types[name].type.tensor_type.elem_type) if name in self.types else 0

    def shape(self, name: str) -> list[int | None]:
        """Of a value; empty where it is not known."""
        if name in self.weights:
            return list(self.weights[name].dims)
        return shape_of(self.types[name]) if name in self.types else []


def _rounds(node: Any, known: _Known) -> bool:
    scales, sizes = known.array(node, 2), known.array(node, 3)
    shape = [size or 0 for size in known.shape(node.input[0])]
    if sizes is not None:
        return list(sizes[:2]) != shape[:2]
    if scales is None or len(shape) != len(scales):
        return False
    return list(scales[:2]) != [1, 1] or not is_whole(shape, scales)


def _divides_by_zero(node: Any, known: _Known) -> bool:
    weight = known.weights.get(node.input[1])
    return weight is not None and math.prod(weight.dims) == 1 and not np.any(known.array(node, 1))


def _has_empty_part(node: Any, known: _Known) -> bool:
    return any(0 in known.shape(name) for name in node.output)


def _ends_otherwise(node: Any, known: _Known) -> bool:
    starts, ends = known.array(node, 1), known.array(node, 2)
    return _has_empty_part(node, known) and (starts is None or ends is None or bool((starts != ends).any()))


def _has_no_least(node: Any, known: _Known) -> bool:
    return known.element(node.input[0]) == _BOOL or 0 in known.shape(node.input[0])


def _given(node: Any) -> dict[str, Any]:
    from onnx import helper

    found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _pads_otherwise(node: Any, known: _Known) -> bool:
    sizes = known.shape(node.input[0])[2:]
    return None not in sizes and pads_otherwise([size or 0 for size in sizes], _given(node))


def _aligns_otherwise(node: Any, known: _Known) -> bool:
    given = _given(node)
    form = given.get("coordinate_transformation_mode", "half_pixel" if known.opset >= _HALF_PIXELS_SINCE else "")
    return given.get("mode") == "max" or (form == "half_pixel" and given.get("spatial_scale", 1.0) != 1.0)


def _reduces_nothing(node: Any, known: _Known) -> bool:
    axes = known.array(node, 1)
    return bool(_given(node).get("noop_with_empty_axes")) and (axes is None or not axes.size)


def _wraps_what_is_cut(node: Any, known: _Known) -> bool:
    pads = known.array(node, 1)
    return _given(node).get("mode") == "wrap" and pads is not None and bool((pads < 0).any())


def _spreads(node: Any, known: _Known) -> bool:
    shape = known.shape(node.input[0])
    wanted = shape[_given(node).get("axis", -1) :]
    return known.element(node.input[0]) == _HALF or any(known.shape(name) != wanted for name in node.input[1:] if name)


_HALF_PIXELS_SINCE, _COUNT_IS_INPUT_SINCE, _SORTED_SINCE, _BOUNDS_ARE_INPUTS_SINCE = 16, 10, 11, 11

_CASES: dict[str, tuple[str, Callable[[Any, _Known], bool]]] = {
    "Resize": ("its scales give no whole sizes, or resize the first two axes", _rounds),
    "Div": ("divides by zero", _divides_by_zero),
    "Split": ("a part has no elements", _has_empty_part),
    "Slice": ("a part has no elements", _ends_otherwise),
    "Pow": ("a power of integers", lambda node, known: known.element(node.input[0]) not in (0, *_FLOATS)),
    "BitCast": ("of booleans", lambda node, known: known.element(node.input[0]) == _BOOL),
    "ReduceMax": ("of booleans, or of nothing", _has_no_least),
    "ReduceMin": ("of booleans, or of nothing", _has_no_least),
    "TopK": (
        "of integers of 64 bits without sign, or of opset 10",
        lambda node, known: (
            known.element(node.input[0]) == _UINT64 or _COUNT_IS_INPUT_SINCE <= known.opset < _SORTED_SINCE
        ),
    ),
    "RoiAlign": ("the greatest values (mode max), or regions of another scale", _aligns_otherwise),
    "MaxPool": ("pads itself", _pads_otherwise),
    "LayerNormalization": ("of halves, or a factor of another shape than what is normalised", _spreads),
    **dict.fromkeys(OF_NOTHING, ("over no axes", _reduces_nothing)),
    "Pad": ("wraps what it cuts", _wraps_what_is_cut),
    "ReduceMean": ("of integers", lambda node, known: known.element(node.input[0]) not in (0, *_FLOATS)),
    "Equal": ("of booleans", lambda node, known: known.element(node.input[0]) == _BOOL),
    "Clip": (
        "bounds of another type",
        lambda node, known: known.opset < _BOUNDS_ARE_INPUTS_SINCE and known.element(node.input[0]) != _FLOAT,
    ),
    "LpPool": ("a last window that ends outside", lambda node, known: bool(_given(node).get("ceil_mode"))),
}


def check_as_it_is(model: Any) -> None:
    """Raises ImportFailed. model: its shapes are inferred."""
    known = _Known(
        {value.name: value for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)},
        {tensor.name: tensor for tensor in model.graph.initializer},
        max((int(opset.version) for opset in model.opset_import if not opset.domain), default=1),
    )
    for node in model.graph.node:
        if node.op_type in _CASES:
            problem, applies = _CASES[node.op_type]
            if applies(node, known):
                raise ImportFailed(f"{node.op_type} (node {node.name or node.output[0]}): {problem}")
