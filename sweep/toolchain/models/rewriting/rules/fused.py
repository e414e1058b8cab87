"""Operators that ONNX Runtime's optimiser fuses, as those that they were fused of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES", "of_onnx"]

_PLAIN = ("Relu", "Sigmoid", "Tanh")


def _activated(network: Rewriter, call: Call, value: str) -> str | None:
    """What the activation of a call gives; None for one that is not known."""
    name = call.get("activation", "")
    if not name:
        return value
    given = [float(number) for number in call.get("activation_params") or ()]
    if name in _PLAIN:
        return network.op(name, value)
    if name == "LeakyRelu":
        return network.op(name, value, alpha=given[0] if given else call.get("activation_alpha", 0.01))
    if name == "Clip" and len(given) == 2:
        return network.op(name, value, *(np.array(bound, network.dtype(value)) for bound in given))
    if name == "HardSigmoid" and len(given) == 2:
        return network.op(name, value, alpha=given[0], beta=given[1])
    return None


def _convolution(network: Rewriter, call: Call) -> Sequence[str] | None:
    """FusedConv: a convolution, a value that is added to it, an activation."""
    kept = {name: value for name, value in call.attributes.items() if not name.startswith("activation")}
    inputs = [name for name in call.inputs[:3] if name]
    result = network.op("Conv", *inputs, **kept)
    if call.input(3):
        result = network.op("Add", result, call.input(3))
    made = _activated(network, call, result)
    return None if made is None else [made]


def _gemm(network: Rewriter, call: Call) -> Sequence[str] | None:
    """FusedGemm."""
    kept = {name: value for name, value in call.attributes.items() if not name.startswith("activation")}
    made = _activated(network, call, network.op("Gemm", *call.inputs, **kept))
    return None if made is None else [made]


def _product(network: Rewriter, call: Call) -> Sequence[str] | None:
    """FusedMatMul and TransposeMatMul: a factor, and operands with their last axes exchanged."""
    if call.get("transBatchA", 0) or call.get("transBatchB", 0):
        return None
    operands = []
    for index, attribute in enumerate(("transA", "transB")):
        value, rank = call.input(index), network.rank(call.input(index))
        if call.get(attribute, 0):
            if rank is None:
                return None
            if rank > 1:
                value = network.op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])
        operands.append(value)
    result, factor = network.op("MatMul", *operands), call.get("alpha", 1.0)
    return [result if factor == 1.0 else network.op("Mul", result, np.array(factor, network.dtype(result)))]


def of_onnx(network: Rewriter, call: Call) -> Sequence[str] | None:
    """An operator that ONNX has by now under the same name."""
    return [network.op(call.operator.rpartition(".")[2], *call.inputs, **call.attributes)]


RULES: dict[str, Rule] = {
    "com.microsoft.FusedConv": _convolution,
    "com.microsoft.FusedGemm": _gemm,
    "com.microsoft.FusedMatMul": _product,
    "com.microsoft.TransposeMatMul": _product,
    "com.microsoft.Trilu": of_onnx,
}
