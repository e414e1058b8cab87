"""What the inputs of an ONNX network may hold, by what it does with them: indices stay inside their tables, masks are 0
or 1, divisors are not 0, bytes are those of a picture.

An integer outside a table reads memory that is not its own, and a division by 0 ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.onnx_shapes import known_shapes, shape_of

__all__ = ["input_kinds", "places_and_lengths"]

_KEEPS_VALUES = frozenset("Cast Expand Flatten Identity Reshape Slice Squeeze Tile Transpose Unsqueeze".split())
_TABLES = {("Gather", 1): 0, ("GatherElements", 1): 0, ("ScatterElements", 1): 0, ("Scatter", 1): 0}
"""Operator and input of indices -> the input that they index, along `axis`."""
_EMBEDDING = "EmbedLayerNormalization"
_EMBEDDING_TABLES = {0: 2, 1: 4}
"""Its input of ids -> the table of these."""
_DIVISORS = (("Div", 1), ("Mod", 1))
_LENGTHS = {("ReverseSequence", 1): "time_axis", ("LSTM", 4): "layout", ("GRU", 4): "layout", ("RNN", 4): "layout"}
"""Operator and input of lengths -> the attribute that says along which axis of its first input; without it the first.
"""
_AXES = {("CumSum", 1), ("CumProd", 1)}
"""Operator and input that says along which axis of its first input."""
_USUAL = 8
"""Integers are below it, where nothing asks for fewer: results of earlier versions stay what they are."""


def input_kinds(model: Any) -> dict[str, Values]:
    """By input, where the network says more than its type does. `model`: its shapes are inferred."""
    shapes = known_shapes(model)
    users: dict[str, list[tuple[Any, int]]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            users.setdefault(name, []).append((node, index))
    found = {value.name: _kind(value, users, shapes) for value in model.graph.input}
    return {name: values for name, values in found.items() if values is not None}


def places_and_lengths(original: Any, model: Any) -> dict[str, Values]:
    """By input, where it says how long sequences are, no longer than what they are in, or along which axis to add up.

    original: as the file has it. model: what it has become, with shapes; most of its values keep their names.
    """
    inputs = {value.name for value in original.graph.input}
    shapes = known_shapes(model)
    found = {}
    for node in original.graph.node:
        for index, name in enumerate(node.input):
            shape, use = shapes.get(node.input[0]), (node.op_type, index)
            if name not in inputs or not shape:
                continue
            if use in _AXES:
                found[name] = Values(limits=(0, len(shape)))
            elif use in _LENGTHS:
                axis = next((int(one.i) for one in node.attribute if one.name == _LENGTHS[use]), 0)
                longest = shape[axis] if axis < len(shape) else None
                if longest is not None and longest < _USUAL - 1:
                    found[name] = Values(limits=(1, longest + 1))
    return found


def _kind(value: Any, users: dict[str, list[tuple[Any, int]]], shapes: dict[str, list[int | None]]) -> Values | None:
    from onnx import TensorProto

    kind = value.type.tensor_type.elem_type
    integers = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.UINT64, TensorProto.UINT32)
    if kind not in (*integers, TensorProto.INT8, TensorProto.UINT8, TensorProto.UINT16):
        return None
    uses = list(_uses(value.name, users))
    rows = [size for node, index in uses if (size := _rows(node, index, shapes)) is not None]
    if rows:
        return Values(limits=(0, max(1, min(*rows, _USUAL)))) if min(rows) < _USUAL else None
    if "mask" in value.name.lower():
        return Values(limits=(0, 2))
    if any((node.op_type, index) in _DIVISORS for node, index in uses):
        return Values(limits=(1, _USUAL))
    return Values(limits=(0, 256)) if kind == TensorProto.UINT8 and len(shape_of(value)) >= 3 else None


def _uses(name: str, users: dict[str, list[tuple[Any, int]]]) -> Iterator[tuple[Any, int]]:
    """Where a value arrives unchanged."""
    waiting, seen = [name], {name}
    while waiting:
        for node, index in users.get(waiting.pop(), ()):
            yield node, index
            is_kept = (index == 0 and node.op_type in _KEEPS_VALUES) or (index > 0 and node.op_type == "Where")
            if is_kept and node.output[0] not in seen:
                seen.add(node.output[0])
                waiting.append(node.output[0])


def _rows(node: Any, index: int, shapes: dict[str, list[int | None]]) -> int | None:
    """How many values an index may have; None where it is none."""
    if node.op_type == _EMBEDDING and index in _EMBEDDING_TABLES and len(node.input) > _EMBEDDING_TABLES[index]:
        table, axis = _EMBEDDING_TABLES[index], 0
    elif (node.op_type, index) in _TABLES:
        table = _TABLES[node.op_type, index]
        axis = next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
    elif (node.op_type, index) == ("GatherND", 1):
        return min((size for size in shapes.get(node.input[0]) or () if size), default=None)
    else:
        return None
    shape = shapes.get(node.input[table])
    return shape[axis] if shape and -len(shape) <= axis < len(shape) else None
