"""Normalisations in forms that TVM's importer takes for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_FLOAT = 1


def _in_training(network: Rewriter, call: Call) -> Sequence[str] | None:
    """BatchNormalization by the mean and variance of what it is given; the running ones as further outputs."""
    shape = network.shape(call.input(0))
    if not call.get("training_mode", 0) or shape is None or len(shape) < 2:
        return None
    data, (scale, offset, mean, variance) = call.input(0), call.inputs[1:5]
    over = [axis for axis in range(len(shape)) if axis != 1]
    own_mean = network.reduced("ReduceMean", data, over)
    centred = network.op("Sub", data, own_mean)
    own_variance = network.reduced("ReduceMean", network.op("Mul", centred, centred), over)
    kind = network.dtype(data)
    spread = network.op("Sqrt", network.op("Add", own_variance, np.array(call.get("epsilon", 1e-5), kind)))
    column = np.array([-1, *[1] * (len(shape) - 2)])
    scaled = network.op("Mul", network.op("Div", centred, spread), network.op("Reshape", scale, column))
    result = network.op("Add", scaled, network.op("Reshape", offset, column))
    running = []
    for old, own in ((mean, own_mean), (variance, own_variance)):
        momentum, kind = call.get("momentum", 0.9), network.dtype(old)
        flat = network.op("Cast", network.op("Reshape", own, np.array([-1])), to=network.element(old))
        kept = network.op("Mul", old, np.array(momentum, kind))
        running.append(network.op("Add", kept, network.op("Mul", flat, np.array(1 - momentum, kind))))
    return [result, *running]


def _local_response(network: Rewriter, call: Call) -> Sequence[str] | None:
    """LRN over an even number of channels, which TVM counts wrongly: one more lies behind than before. Also of other
    floats than those of 32 bits, and of other images than those of one and two dimensions.
    """
    shape, size = network.shape(call.input(0)), int(call.get("size"))
    data, kind = call.input(0), network.dtype(call.input(0))
    if shape is None or (size % 2 and kind == np.float32 and len(shape) in (3, 4)):
        return None
    squares = network.op("Mul", data, data)
    before, after = (size - 1) // 2, size // 2
    pads = np.zeros((2, len(shape)), np.int64)
    pads[0, 1], pads[1, 1] = before, after
    padded = network.op("Pad", squares, pads.reshape(-1), np.zeros((), kind))
    total = ""
    for first in range(size):
        part = network.op("Slice", padded, np.array([first]), np.array([first + shape[1]]), np.array([1]))
        total = part if not total else network.op("Add", total, part)
    scale = np.array(call.get("alpha", 1e-4) / size, kind)
    base = network.op("Add", network.op("Mul", total, scale), np.array(call.get("bias", 1.0), kind))
    return [network.op("Div", data, network.op("Pow", base, np.array(call.get("beta", 0.75), kind)))]


def _of_a_layer(network: Rewriter, call: Call) -> Sequence[str] | None:
    """LayerNormalization whose factor or offset is not of the shape that it normalises: they are spread over it. Of
    floats of 16 bits it is computed in 32, as ONNX says: squares of 256 are infinite in 16.
    """
    shape = network.shape(call.input(0))
    if shape is None or any(call.outputs[1:]):
        return None
    if network.dtype(call.input(0)) == np.float16 and call.get("stash_type", _FLOAT) == _FLOAT:
        wide = [network.op("Cast", name, to=_FLOAT) for name in call.inputs if name]
        result = network.op("LayerNormalization", *wide, **call.attributes)
        return [network.op("Cast", result, to=network.element(call.input(0)))]
    wanted = shape[call.get("axis", -1) % len(shape) :]
    if all(network.shape(name) == wanted for name in call.inputs[1:] if name):
        return None
    spread = [network.op("Expand", name, np.array(wanted)) for name in call.inputs[1:] if name]
    return [network.op("LayerNormalization", call.input(0), *spread, **call.attributes)]


def _simplified(network: Rewriter, call: Call) -> Sequence[str] | None:
    """SimplifiedLayerNormalization: without the mean."""
    data, kind = call.input(0), network.dtype(call.input(0))
    rank = network.rank(data)
    if rank is None or call.output(1):
        return None
    over = list(range(call.get("axis", -1) % rank, rank))
    square = network.reduced("ReduceMean", network.op("Mul", data, data), over)
    root = network.op("Sqrt", network.op("Add", square, np.array(call.get("epsilon", 1e-5), kind)))
    return [network.op("Mul", network.op("Div", data, root), call.input(1))]


RULES: dict[str, Rule] = {
    "BatchNormalization": _in_training,
    "LRN": _local_response,
    "LayerNormalization": _of_a_layer,
    "SimplifiedLayerNormalization": _simplified,
    "com.microsoft.SimplifiedLayerNormalization": _simplified,
}
