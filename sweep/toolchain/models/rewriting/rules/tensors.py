"""Moves of tensors that TVM's importer lacks, or does otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_HALF_PIXELS_SINCE = 16
"""The opset from which on regions are aligned to halves of pixels where nothing else is said."""


def _reverse_sequence(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of each element of the batch its first steps backwards."""
    shape, lengths = network.shape(call.input(0)), network.constant(call.input(1))
    if shape is None:
        return None
    batch, time = call.get("batch_axis", 1), call.get("time_axis", 0)
    steps = np.arange(shape[time])
    if lengths is not None:
        order = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
        order = order if batch < time else order.T
        order = order.reshape([size if axis in (batch, time) else 1 for axis, size in enumerate(shape)])
        indices: str | np.ndarray = np.broadcast_to(order, shape).copy()
    else:
        row = network.op("Unsqueeze", call.input(1), np.array([1]))
        back = network.op("Sub", network.op("Sub", row, np.array(1)), steps[None])
        found = network.op("Where", network.op("Less", steps[None], row), back, steps[None])
        turned = found if batch < time else network.op("Transpose", found, perm=[1, 0])
        sizes = [size if axis in (batch, time) else 1 for axis, size in enumerate(shape)]
        indices = network.op("Expand", network.op("Reshape", turned, np.array(sizes)), np.array(shape))
    return [network.op("GatherElements", call.input(0), indices, axis=time)]


def _space_to_depth(network: Rewriter, call: Call) -> Sequence[str] | None:
    shape, size = network.shape(call.input(0)), call.get("blocksize")
    if call.get("mode", "DCR") == "DCR" or shape is None:
        return None
    count, channels, height, width = shape
    blocks = network.op(
        "Reshape", call.input(0), np.array([count, channels, height // size, size, width // size, size])
    )
    turned = network.op("Transpose", blocks, perm=[0, 1, 3, 5, 2, 4])
    return [network.op("Reshape", turned, np.array([count, channels * size * size, height // size, width // size]))]


def _image_from_columns(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Col2Im: each element of the blocks is added where it lies, by a scatter of a constant place."""
    shape = network.shape(call.input(0))
    image, block = (network.constant(call.input(index)) for index in (1, 2))
    if shape is None or image is None or block is None:
        return None
    dims = len(image)
    dilations, strides = call.get("dilations") or [1] * dims, call.get("strides") or [1] * dims
    pads = call.get("pads") or [0] * (2 * dims)
    padded = [int(image[axis]) + pads[axis] + pads[dims + axis] for axis in range(dims)]
    counts = [
        (padded[axis] - dilations[axis] * (int(block[axis]) - 1) - 1) // strides[axis] + 1 for axis in range(dims)
    ]
    count, channels = shape[0], shape[1] // int(np.prod(block))
    places = np.array(
        [
            [
                np.ravel_multi_index(
                    [o * s + i * d for o, s, i, d in zip(at, strides, inner, dilations, strict=True)], padded
                )
                for at in product(*map(range, counts))
            ]
            for inner in product(*(range(int(size)) for size in block))
        ]
    ).reshape(-1)
    columns = network.op("Reshape", call.input(0), np.array([count * channels, places.size]))
    # A matrix of ones and zeros adds up what falls on one place
    spread = np.zeros((places.size, int(np.prod(padded))), network.dtype(columns))
    spread[np.arange(places.size), places] = 1
    total = network.op("MatMul", columns, spread)
    whole = network.op("Reshape", total, np.array([count, channels, *padded]))
    starts, ends = np.array(pads[:dims]), np.array([pads[axis] + int(image[axis]) for axis in range(dims)])
    return [network.op("Slice", whole, starts, ends, np.arange(2, 2 + dims))]


def _tensor_scatter(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TensorScatter: an update of a cache along an axis, from a place of each element of the batch on."""
    shape, new = network.shape(call.input(0)), network.shape(call.input(1))
    if shape is None or new is None:
        return None
    axis = call.get("axis", -2) % len(shape)
    start = call.input(2) or network.keep(np.zeros(shape[0], np.int64))
    column = network.op("Reshape", start, np.array([shape[0], *[1] * (len(shape) - 1)]))
    steps = np.arange(new[axis]).reshape([new[axis] if other == axis else 1 for other in range(len(shape))])
    places = network.op("Add", column, steps)
    if call.get("mode", "linear") == "circular":
        places = network.op("Mod", places, np.array(shape[axis]))
    indices = network.op("Expand", places, np.array(new))
    return [network.op("ScatterElements", call.input(0), indices, call.input(1), axis=axis)]


def _to_a_size(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ConvTranspose to an output shape, or padded by itself: by explicit pads."""
    shape, kernel = network.shape(call.input(0)), network.shape(call.input(1))
    automatic, wanted = call.get("auto_pad", "NOTSET"), call.get("output_shape")
    if (automatic == "NOTSET" and not wanted) or shape is None or kernel is None:
        return None
    dims = len(shape) - 2
    strides, dilations = call.get("strides") or [1] * dims, call.get("dilations") or [1] * dims
    extra = list(call.get("output_padding") or [0] * dims)
    before, after = [0] * dims, [0] * dims
    for axis in range(dims):
        full = strides[axis] * (shape[2 + axis] - 1) + extra[axis] + (kernel[2 + axis] - 1) * dilations[axis] + 1
        target = wanted[axis - dims] if wanted else shape[2 + axis] * strides[axis]
        total = 0 if automatic == "VALID" and not wanted else full - target
        extra[axis] += max(0, -total)
        total = max(0, total)
        before[axis] = total // 2 if automatic == "SAME_UPPER" else total - total // 2
        after[axis] = total - before[axis]
    kept = {name: v for name, v in call.attributes.items() if name not in ("auto_pad", "output_shape")}
    attributes = {**kept, "pads": [*before, *after], "output_padding": extra}
    return [network.op("ConvTranspose", *call.inputs, **attributes)]


def _padded_by_input(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Pad with a value that an input gives: with zeros, and the value where a mask was padded."""
    shape = network.shape(call.input(0))
    if call.get("mode", "constant") != "constant" or not call.input(2) or shape is None:
        return None
    if network.constant(call.input(2)) is not None or network.constant(call.input(1)) is None:
        return None
    kind, rest = network.dtype(call.input(0)), call.inputs[3:]
    data = network.op("Pad", call.input(0), call.input(1), np.zeros((), kind), *rest)
    inside = network.op("Pad", np.ones(shape, np.int32), call.input(1), np.zeros((), np.int32), *rest)
    value = network.op("Reshape", call.input(2), np.zeros(0, np.int64))
    return [network.op("Where", network.op("Cast", inside, to=9), data, value)]


def _padded(network: Rewriter, call: Call) -> Sequence[str] | None:
    return _wrapped(network, call) if call.get("mode") == "wrap" else _padded_by_input(network, call)


def _wrapped(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Pad that wraps what is left of what it cuts."""
    shape, pads = network.shape(call.input(0)), network.constant(call.input(1))
    if call.get("mode") != "wrap" or shape is None or pads is None or not (pads < 0).any():
        return None
    axes = network.constant(call.input(3)) if call.input(3) else np.arange(len(shape))
    if axes is None:
        return None
    cut = -np.minimum(pads, 0).reshape(2, -1)
    ends = np.array([shape[axis] for axis in axes]) - cut[1]
    left = network.op("Slice", call.input(0), cut[0], ends, axes.astype(np.int64))
    return [network.op("Pad", left, np.maximum(pads, 0), *call.inputs[2:], mode="wrap")]


def _reduced_booleans(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ReduceMax and ReduceMin of booleans: of the integers that they are."""
    if network.dtype(call.input(0)).kind != "b":
        return None
    numbers = network.op("Cast", call.input(0), to=6)
    result = network.op(call.operator, numbers, *call.inputs[1:], **call.attributes)
    return [network.op("Cast", result, to=9)]


def _roi_align(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Regions that lie in another scale than the map: TVM takes half a pixel off before it scales them, ONNX after."""
    if call.get("mode", "avg") != "avg":
        raise ImportFailed(f"{call.label}: takes the greatest values (mode {call.get('mode')}): avg is supported")
    form, whole = call.get("coordinate_transformation_mode"), "output_half_pixel"
    if form is None and network.source_opset < _HALF_PIXELS_SINCE <= network.opset:
        return [network.op(call.operator, *call.inputs, **call.attributes, coordinate_transformation_mode=whole)]
    if form == whole or network.opset < _HALF_PIXELS_SINCE or call.get("spatial_scale", 1.0) == 1.0:
        return None
    scale = np.array(call.get("spatial_scale"), network.dtype(call.input(1)))
    inputs = [call.input(0), network.op("Mul", call.input(1), scale), call.input(2)]
    return [network.op(call.operator, *inputs, **{**call.attributes, "spatial_scale": 1.0})]


def _top(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TopK in order, where any will do."""
    if network.dtype(call.input(0)) == np.uint64:
        raise ImportFailed(f"{call.label}: of integers of 64 bits without sign, which TVM does not sort")
    if call.get("sorted", 1):
        return None
    return network.ops(call.operator, len(call.outputs), *call.inputs, **{**call.attributes, "sorted": 1})


def _compressed(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Compress by a constant: a selection of these places."""
    condition = network.constant(call.input(1))
    if condition is None:
        return None
    data, axis = call.input(0), call.get("axis")
    if axis is None:
        data = network.op("Reshape", data, np.array([-1]))
    return [network.op("Gather", data, np.flatnonzero(condition), axis=axis or 0)]


RULES: dict[str, Rule] = {
    "ReverseSequence": _reverse_sequence,
    "SpaceToDepth": _space_to_depth,
    "Col2Im": _image_from_columns,
    "RoiAlign": _roi_align,
    "TopK": _top,
    "Pad": _padded,
    "ReduceMax": _reduced_booleans,
    "ReduceMin": _reduced_booleans,
    "Compress": _compressed,
    "ConvTranspose": _to_a_size,
    "TensorScatter": _tensor_scatter,
}
