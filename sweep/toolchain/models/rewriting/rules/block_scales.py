"""Integers with a scale for each block of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_UINT8 = 2
_LIMITS = {_UINT8: (0, 255), 3: (-128, 127), 4: (0, 65_535), 5: (-32_768, 32_767)}
"""Of integers of whole bytes, as the onnx package numbers their kinds."""


def _of_its_block(network: Rewriter, call: Call, value: str) -> str:
    """A scale or zero point of each block along an axis, as one of each element."""
    shape, sizes = network.shape(call.input(0)) or (), network.shape(value) or ()
    axis, block = call.get("axis", 1) % len(shape), call.get("block_size")
    column = network.op("Unsqueeze", value, np.array([axis + 1]))
    repeated = network.op("Expand", column, np.array([*sizes[: axis + 1], block, *sizes[axis + 1 :]]))
    whole = network.op("Reshape", repeated, np.array([*sizes[:axis], sizes[axis] * block, *sizes[axis + 1 :]]))
    return network.op("Slice", whole, np.array([0]), np.array([shape[axis]]), np.array([axis]))


def _from_blocks(network: Rewriter, call: Call) -> Sequence[str] | None:
    """DequantizeLinear with a scale for each block along an axis."""
    if not call.get("block_size", 0) or network.shape(call.input(0)) is None:
        return None
    element = network.element(call.input(1))
    value = network.op("Cast", call.input(0), to=element)
    if call.input(2):
        offset = network.op("Cast", call.input(2), to=element)
        value = network.op("Sub", value, _of_its_block(network, call, offset))
    return [network.op("Mul", value, _of_its_block(network, call, call.input(1)))]


def _to_blocks(network: Rewriter, call: Call) -> Sequence[str] | None:
    """QuantizeLinear with a scale for each block along an axis, to integers of whole bytes."""
    if not call.get("block_size", 0) or network.shape(call.input(0)) is None:
        return None
    element = network.element(call.input(2)) if call.input(2) else call.get("output_dtype", 0) or _UINT8
    limits, floats = _LIMITS.get(element), network.dtype(call.input(1))
    if limits is None:
        return None
    moved = network.op("Round", network.op("Div", call.input(0), _of_its_block(network, call, call.input(1))))
    if call.input(2):
        offset = network.op("Cast", call.input(2), to=network.element(call.input(1)))
        moved = network.op("Add", moved, _of_its_block(network, call, offset))
    held = network.op("Clip", moved, *(np.array(limit, floats) for limit in limits))
    return [network.op("Cast", held, to=element)]


def _by_blocks(network: Rewriter, call: Call) -> Sequence[str] | None:
    """MatMulNBits: weights of a few bits, packed along their inputs in blocks, each with a scale."""
    packed, scales = network.constant(call.input(1)), network.constant(call.input(2))
    zeros = network.constant(call.input(3)) if call.input(3) else None
    if packed is None or scales is None or (call.input(3) and zeros is None) or call.input(4):
        return None
    bits, block = int(call.get("bits", 4)), int(call.get("block_size"))
    columns, rows = int(call.get("N")), int(call.get("K"))
    if bits not in (2, 4, 8):
        return None
    values = _unpacked(packed.reshape(columns, -1), bits)
    blocks = -(-rows // block)
    values = values[:, : blocks * block].reshape(columns, blocks, block).astype(np.float32)
    offsets: Any = float(2 ** (bits - 1))
    if zeros is not None:
        if zeros.dtype == np.uint8:
            zeros = _unpacked(zeros.reshape(columns, -1), bits)[:, :blocks]
        offsets = zeros.reshape(columns, blocks, 1).astype(np.float32)
    weights = (values - offsets) * scales.reshape(columns, blocks, 1).astype(np.float32)
    weights = weights.reshape(columns, -1)[:, :rows].T
    result = network.op("MatMul", call.input(0), np.ascontiguousarray(weights, network.dtype(call.input(0))))
    return [network.op("Add", result, call.input(5)) if call.input(5) else result]


def _unpacked(packed: Any, bits: int) -> Any:
    """Integers of some bits, the lowest of each byte first."""
    parts = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, axis=-1).reshape(packed.shape[0], -1)


RULES: dict[str, Rule] = {
    "DequantizeLinear": _from_blocks,
    "QuantizeLinear": _to_blocks,
    "com.microsoft.MatMulNBits": _by_blocks,
}
