"""Tensors without elements, which TVM's importer and code take for something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]


def _reshaped_to_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Reshape of no elements to a shape with a size of 0, which TVM takes for the size that was there: nothing is
    gathered along these axes.
    """
    shape, target = network.shape(call.input(0)), network.constant(call.input(1))
    if not call.get("allowzero", 0) or target is None or shape is None or 0 not in shape or 0 not in target:
        return None
    at = shape.index(0)
    integers = network.op("Cast", call.input(0), to=7)
    others = np.array([axis for axis in range(len(shape)) if axis != at], np.int64)
    none = network.op("ReduceSum", integers, others, keepdims=0) if others.size else integers
    value = network.keep(np.zeros([size or 1 for size in target], network.dtype(call.input(0))))
    for axis in np.flatnonzero(target == 0):
        value = network.op("Gather", value, none, axis=int(axis))
    return [value]


def _without_empty(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Concat of what has something along the axis: TVM cannot store a constant without elements."""
    shapes = [network.shape(name) for name in call.inputs]
    if any(shape is None for shape in shapes):
        return None
    axis = call.get("axis")
    full = [name for name, shape in zip(call.inputs, shapes, strict=True) if shape and shape[axis]]
    if len(full) in (0, len(call.inputs)):
        return None
    return [full[0] if len(full) == 1 else network.op("Concat", *full, axis=axis)]


def _split_with_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Split where a part has no elements: by slices."""
    shape, given = network.shape(call.input(0)), network.constant(call.input(1)) if call.input(1) else None
    if shape is None or not shape:
        return None
    axis, count = call.get("axis", 0) % len(shape), len(call.outputs)
    step = -(-shape[axis] // count)
    parts = (
        [int(part) for part in given]
        if given is not None
        else [max(0, min(step, shape[axis] - at * step)) for at in range(count)]
    )
    if 0 not in parts:
        return None
    ends = np.cumsum(parts)
    bounds = zip(ends - parts, ends, strict=True)
    return [network.op("Slice", call.input(0), np.array([s]), np.array([e]), np.array([axis])) for s, e in bounds]


def _reduced_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ReduceMax and ReduceMin over no elements: the least and the greatest value of the type."""
    shape, axes = network.shape(call.input(0)), call.get("axes")
    if call.input(1):
        given = network.constant(call.input(1))
        axes = None if given is None else given.tolist()
        if given is None:
            return None
    if not shape or 0 not in shape or (not axes and call.get("noop_with_empty_axes", 0)):
        return None
    over = {axis % len(shape) for axis in axes} if axes else set(range(len(shape)))
    kept = [1 if axis in over else size for axis, size in enumerate(shape)]
    if not call.get("keepdims", 1):
        kept = [size for axis, size in enumerate(shape) if axis not in over]
    kind, is_max = network.dtype(call.input(0)), call.operator == "ReduceMax"
    if kind.kind == "f":
        value: Any = -np.inf if is_max else np.inf
    elif kind.kind == "b":
        value = not is_max
    else:
        value = np.iinfo(kind).min if is_max else np.iinfo(kind).max
    return None if 0 in kept else [network.keep(np.full(kept, value, kind))]


def _slice_of_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Slice that ends where it begins, or before: TVM gives it a size below 0."""
    shape = network.shape(call.input(0))
    starts, ends, axes, steps = (network.constant(call.input(at)) if call.input(at) else None for at in range(1, 5))
    if shape is None or starts is None or ends is None or (call.input(3) and axes is None):
        return None
    if call.input(4) and steps is None:
        return None
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    bounds = zip(axes, starts, ends, steps, strict=True)
    nothing = [not len(range(shape[axis])[slice(int(a), int(b), int(by))]) for axis, a, b, by in bounds]
    if not any(nothing) or all(a == b == 0 for a, b, is_empty in zip(starts, ends, nothing, strict=True) if is_empty):
        return None
    kept = [np.where(nothing, 0, each) for each in (starts, ends)]
    rest = (each.astype(starts.dtype) for each in (axes, np.where(nothing, 1, steps)))
    return [network.op("Slice", call.input(0), *kept, *rest)]


def _triangle_of_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    return [call.input(0)] if 0 in (network.shape(call.input(0)) or ()) else None


RULES: dict[str, Rule] = {
    "Concat": _without_empty,
    "ReduceMax": _reduced_nothing,
    "ReduceMin": _reduced_nothing,
    "Reshape": _reshaped_to_nothing,
    "Slice": _slice_of_nothing,
    "Split": _split_with_nothing,
    "Trilu": _triangle_of_nothing,
}
