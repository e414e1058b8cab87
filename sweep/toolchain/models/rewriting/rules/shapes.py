"""Shapes that are computed in a network, as the constants that they are once its inputs have fixed shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]


def _shape(network: Rewriter, call: Call) -> Sequence[str] | None:
    shape = network.shape(call.input(0))
    if shape is None:
        return None
    return [network.keep(shape[slice(call.get("start", 0), call.get("end"))], np.int64)]


def _size(network: Rewriter, call: Call) -> Sequence[str] | None:
    shape = network.shape(call.input(0))
    return None if shape is None else [network.keep(np.prod(shape, dtype=np.int64), np.int64)]


def _as_it_is(network: Rewriter, call: Call) -> Sequence[str] | None:
    return [call.input(0)]


def _dropout(network: Rewriter, call: Call) -> Sequence[str] | None:
    """At inference it does nothing, and its mask is true everywhere."""
    training = bool(call.input(2))
    if training:
        given = network.constant(call.input(2))
        training = given is None or bool(given.reshape(-1)[0])
        ratio = network.constant(call.input(1)) if call.input(1) else np.array(0.5)
        training = training and not (ratio is not None and float(ratio.reshape(-1)[0]) == 0.0)
    if training:
        raise ImportFailed(f"{call.label}: drops values at random, as in training: its outputs cannot be compared")
    shape = network.shape(call.input(0))
    if not call.output(1):
        return [call.input(0)]
    if shape is None:
        return None
    return [call.input(0), network.keep(np.ones(shape, bool))]


def _expand(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Nothing, where it is to the same shape."""
    wanted, shape = network.constant(call.input(1)), network.shape(call.input(0))
    if wanted is None or shape is None:
        return None
    given = tuple(int(size) for size in wanted)
    return [call.input(0)] if np.broadcast_shapes(given, shape) == shape else None


def _random(network: Rewriter, call: Call) -> Sequence[str] | None:
    raise ImportFailed(f"{call.label}: gives other values at each call: its outputs cannot be compared")


def _by_axes(network: Rewriter, call: Call) -> Sequence[str] | None:
    """A single axis may be written without a dimension, which TVM's importer does not take."""
    axes = network.constant(call.input(1)) if call.input(1) else None
    if axes is None or axes.ndim:
        return None
    return [network.op(call.operator, call.input(0), axes.reshape(1))]


def _eye(network: Rewriter, call: Call) -> Sequence[str] | None:
    """EyeLike, which takes the shape of its input alone."""
    from onnx import helper

    shape = network.shape(call.input(0))
    if shape is None or len(shape) != 2:
        return None
    kind = helper.tensor_dtype_to_np_dtype(call.get("dtype") or network.element(call.input(0)))
    return [network.keep(np.eye(*shape, k=call.get("k", 0), dtype=kind))]


RULES = {
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _random
    ),
    "Shape": _shape,
    "Size": _size,
    "Identity": _as_it_is,
    "Dropout": _dropout,
    "Expand": _expand,
    "EyeLike": _eye,
    "Squeeze": _by_axes,
    "Unsqueeze": _by_axes,
}
