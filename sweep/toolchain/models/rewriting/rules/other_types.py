"""Operators of integers and booleans that TVM's importer, or its code, has for floats alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]

_DOUBLE = 11


def _equal(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of booleans: LLVM is given a comparison of floats."""
    if network.dtype(call.input(0)).kind != "b":
        return None
    return [network.op("Not", network.op("Xor", *call.inputs))]


def _sloped(network: Rewriter, call: Call) -> Sequence[str] | None:
    """PRelu."""
    data, kind = call.input(0), network.dtype(call.input(0))
    if kind.kind not in "iu":
        return None
    below = network.op("Less", data, np.zeros((), kind))
    return [network.op("Where", below, network.op("Mul", data, call.input(1)), data)]


def _root(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ReduceL2."""
    element, kind = network.element(call.input(0)), network.dtype(call.input(0))
    if kind.kind not in "iu":
        return None
    data = network.op("Cast", call.input(0), to=_DOUBLE)
    return [network.op("Cast", network.op("ReduceL2", data, *call.inputs[1:], **call.attributes), to=element)]


def _mean(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ReduceMean, of which TVM gives another type: a sum, by how many are in it, without what is behind the point."""
    shape, kind = network.shape(call.input(0)), network.dtype(call.input(0))
    if kind.kind not in "iu" or shape is None:
        return None
    axes = call.get("axes")
    if call.input(1):
        given = network.constant(call.input(1))
        if given is None:
            return None
        axes = given.tolist()
    if not axes:
        if call.get("noop_with_empty_axes", 0):
            return [call.input(0)]
        axes = list(range(len(shape)))
    keeps = call.get("keepdims", 1)
    total = network.op("ReduceSum", call.input(0), np.array(axes, np.int64), keepdims=keeps)
    count = int(np.prod([shape[axis] for axis in axes]))
    return [network.op("Div", total, np.array(count, kind))]


RULES = {"Equal": _equal, "PRelu": _sloped, "ReduceL2": _root, "ReduceMean": _mean}
