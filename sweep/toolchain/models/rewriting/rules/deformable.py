"""Convolutions that sample where an input says: by GridSample, and a product with the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]


def _deformable(network: Rewriter, call: Call) -> Sequence[str] | None:
    """DeformConv over height and width."""
    shape, kernel, offsets = (network.shape(call.input(index)) for index in (0, 1, 2))
    if shape is None or kernel is None or offsets is None:
        return None
    if len(shape) != 4 or 1 in shape[2:]:
        raise ImportFailed(f"{call.label}: of an input {list(shape)}: height and width of more than 1 are supported")
    count, channels, (height, width) = shape[0], shape[1], shape[2:]
    taps, (rows, columns) = kernel[2] * kernel[3], offsets[2:]
    kind, parts, group = network.dtype(call.input(0)), call.get("offset_group", 1), call.get("group", 1)
    begin = _begins(call, kernel, (rows, columns))
    sampled = []
    for part in range(parts):
        data = _channels(network, call.input(0), part, channels // parts)
        moved = _channels(network, call.input(2), part, 2 * taps)
        moved = network.op("Reshape", moved, np.array([count, taps, 2, rows, columns]))
        axes = []
        for axis, size in ((1, width), (0, height)):  # a grid has the horizontal place first
            place = network.op("Gather", moved, np.array(axis), axis=2)
            place = network.op("Add", place, begin[axis].astype(kind))
            place = network.op("Mul", place, np.array(2 / (size - 1), kind))
            axes.append(network.op("Unsqueeze", network.op("Sub", place, np.ones((), kind)), np.array([4])))
        grid = network.op("Reshape", network.op("Concat", *axes, axis=4), np.array([count, taps * rows, columns, 2]))
        found = network.op("GridSample", data, grid, align_corners=1)
        found = network.op("Reshape", found, np.array([count, channels // parts, taps, rows * columns]))
        if call.input(4):
            mask = _channels(network, call.input(4), part, taps)
            mask = network.op("Reshape", mask, np.array([count, 1, taps, rows * columns]))
            found = network.op("Mul", found, mask)
        sampled.append(found)
    whole = sampled[0] if parts == 1 else network.op("Concat", *sampled, axis=1)
    whole = network.op("Reshape", whole, np.array([count, group, channels // group * taps, rows * columns]))
    weights = network.op("Reshape", call.input(1), np.array([group, kernel[0] // group, kernel[1] * taps]))
    product = network.op("MatMul", weights, whole)
    result = network.op("Reshape", product, np.array([count, kernel[0], rows, columns]))
    if call.input(3):
        result = network.op("Add", result, network.op("Reshape", call.input(3), np.array([-1, 1, 1])))
    return [result]


def _begins(call: Call, kernel: Sequence[int], sizes: Sequence[int]) -> list[np.ndarray]:
    """[1, taps, rows, columns]: where each tap lies without an offset, by row and by column."""
    strides, dilations = call.get("strides") or [1, 1], call.get("dilations") or [1, 1]
    pads = call.get("pads") or [0] * 4
    taps = np.indices(kernel[2:]).reshape(2, -1)
    places = np.indices(tuple(sizes))
    return [
        (places[axis] * strides[axis] - pads[axis])[None, None] + (taps[axis] * dilations[axis])[None, :, None, None]
        for axis in (0, 1)
    ]


def _channels(network: Rewriter, value: str, part: int, size: int) -> str:
    bounds = (np.array([part * size]), np.array([(part + 1) * size]))
    return network.op("Slice", value, *bounds, np.array([1]))


RULES: dict[str, Rule] = {"DeformConv": _deformable}
