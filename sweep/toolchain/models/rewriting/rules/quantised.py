"""Operators on integers as operators on floats between a dequantisation and a quantisation (QOperator to QDQ).

Products of integers are products of floats, which hold every sum below 2**24 exactly; ONNX Runtime has no convolution
of doubles to check one by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sweep.toolchain.models.rewriting.rules.fused import of_onnx

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES", "dynamic_product"]

_MICROSOFT = "com.microsoft"
_FLOAT, _INT32 = 1, 6


def _real(network: Rewriter, call: Call, first: int, axis: int | None = None) -> str:
    """The real numbers of a quantised value: three inputs of a call, from `first` on."""
    value, scale, zero = (call.input(first + index) for index in range(3))
    return _dequantised(network, value, scale, zero, axis)


def _dequantised(network: Rewriter, value: str, scale: str, zero: str, axis: int | None = None) -> str:
    scale, zero = _parameters(network, scale, zero)
    many = network.rank(scale) == 1
    return network.op("DequantizeLinear", value, scale, *([zero] if zero else []), axis=axis if many else None)


def _quantised(network: Rewriter, value: str, scale: str, zero: str) -> list[str]:
    scale, zero = _parameters(network, scale, zero)
    return [network.op("QuantizeLinear", value, scale, *([zero] if zero else []))]


def _parameters(network: Rewriter, scale: str, zero: str) -> tuple[str, str]:
    """One element may be written with a dimension, which these operators do not take."""
    flat = np.zeros(0, np.int64)
    return tuple(  # type: ignore[return-value]
        network.op("Reshape", name, flat) if name and network.shape(name) == (1,) else name for name in (scale, zero)
    )


def _convolution(network: Rewriter, call: Call) -> Sequence[str]:
    """QLinearConv."""
    data, kernel = _real(network, call, 0), _real(network, call, 3, axis=0)
    operands = [data, kernel]
    if call.input(8):
        scale = network.op("Mul", *_parameters(network, call.input(1), call.input(4)))
        bias = network.op("Mul", network.op("Cast", call.input(8), to=_FLOAT), scale)
        operands.append(bias)
    return _quantised(network, network.op("Conv", *operands, **call.attributes), call.input(6), call.input(7))


def _product(network: Rewriter, call: Call) -> Sequence[str]:
    """QLinearMatMul."""
    inputs = list(call.inputs)
    for at in (1, 4, 6):  # a product of halves is rounded before it is quantised
        if network.dtype(inputs[at]) == np.float16:
            inputs[at] = network.op("Cast", inputs[at], to=_FLOAT)
    call = replace(call, inputs=inputs)
    rank = network.rank(call.input(3)) or 2
    product = network.op("MatMul", _real(network, call, 0), _real(network, call, 3, axis=rank - 1))
    return _quantised(network, product, call.input(6), call.input(7))


def _gemm(network: Rewriter, call: Call) -> Sequence[str]:
    """QGemm; without a scale of its output it gives real numbers."""
    transposed = call.get("transB", 0)
    operands = [_real(network, call, 0), _real(network, call, 3, axis=0 if transposed else 1)]
    alpha = call.get("alpha", 1.0)
    if call.input(6):
        scale = network.op("Mul", call.input(1), call.input(4))
        bias = network.op("Mul", network.op("Cast", call.input(6), to=_FLOAT), scale)
        operands.append(network.op("Mul", bias, np.array(alpha, np.float32)) if alpha != 1.0 else bias)
    result = network.op("Gemm", *operands, alpha=alpha, transA=call.get("transA", 0), transB=transposed)
    return _quantised(network, result, call.input(7), call.input(8)) if call.input(7) else [result]


def _pair(operator: str) -> Rule:
    """QLinearAdd, QLinearMul."""

    def rule(network: Rewriter, call: Call) -> Sequence[str]:
        result = network.op(operator, _real(network, call, 0), _real(network, call, 3))
        return _quantised(network, result, call.input(6), call.input(7))

    return rule


def _single(apply: Callable[[Rewriter, Call, str], str]) -> Rule:
    """One that takes x, its scale and zero point, and those of its output."""

    def rule(network: Rewriter, call: Call) -> Sequence[str]:
        result = apply(network, call, _real(network, call, 0))
        return _quantised(network, result, call.input(3), call.input(4))

    return rule


def _pool(network: Rewriter, call: Call, data: str) -> str:
    last = call.get("channels_last", 0)
    rank = network.rank(data) or 4
    if last:
        data = network.op("Transpose", data, perm=[0, rank - 1, *range(1, rank - 1)])
    kept = {name: value for name, value in call.attributes.items() if name != "channels_last"}
    result = network.op("AveragePool" if kept else "GlobalAveragePool", data, **kept)
    return network.op("Transpose", result, perm=[0, *range(2, rank), 1]) if last else result


def _reduce_mean(network: Rewriter, call: Call, data: str) -> str:
    axes = call.get("axes")
    rank = network.rank(data) or 1
    over = [axis % rank for axis in axes] if axes else list(range(rank))
    return network.reduced("ReduceMean", data, over, call.get("keepdims", 1))


def _concatenated(network: Rewriter, call: Call) -> Sequence[str]:
    """QLinearConcat: the output's parameters come first."""
    parts = [_real(network, call, index) for index in range(2, len(call.inputs), 3)]
    return _quantised(network, network.op("Concat", *parts, axis=call.get("axis")), call.input(0), call.input(1))


def _where(network: Rewriter, call: Call) -> Sequence[str]:
    """QLinearWhere: the condition comes first."""
    chosen = network.op("Where", call.input(0), _real(network, call, 1), _real(network, call, 4))
    return _quantised(network, chosen, call.input(7), call.input(8))


# -- integers in, integers out ----------------------------------------------------------------------------------------


def _centred(network: Rewriter, value: str, zero: str, column: bool = False) -> str:
    """An integer value less its zero point, as floats."""
    floats = network.op("Cast", value, to=_FLOAT)
    known = network.constant(zero) if zero else np.zeros(())
    if known is not None and not np.any(known):
        return floats
    offset = network.op("Cast", zero, to=_FLOAT)
    shape = network.shape(offset) or ()
    if shape == (1,):
        offset = network.op("Reshape", offset, np.zeros(0, np.int64))
    elif column:
        offset = network.op("Reshape", offset, np.array([*shape, 1]) if shape else np.zeros(0, np.int64))
    return network.op("Sub", floats, offset)


def _integer_convolution(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ConvInteger."""
    shape = network.shape(call.input(1))
    if shape is None:
        return None
    data = _centred(network, call.input(0), call.input(2))
    kernel = _centred(network, call.input(1), call.input(3))
    if call.input(3) and network.rank(call.input(3)) == 1 and network.shape(call.input(3)) != (1,):
        floats = network.op("Cast", call.input(1), to=_FLOAT)
        offset = network.op("Cast", call.input(3), to=_FLOAT)
        column = network.op("Reshape", offset, np.array([-1, *[1] * (len(shape) - 1)]))
        kernel = network.op("Sub", floats, column)
    return [network.op("Cast", network.op("Conv", data, kernel, **call.attributes), to=_INT32)]


def _exact_product(network: Rewriter, one: str, other: str, zero: str, other_zero: str) -> list[str]:
    left = _centred(network, one, zero, column=True)
    right = _centred(network, other, other_zero)
    return [network.op("Cast", network.op("MatMul", left, right), to=_INT32)]


def _product_to_float(network: Rewriter, call: Call) -> Sequence[str] | None:
    """MatMulIntegerToFloat: A, B, their scales, their zero points, a bias."""
    sums = _exact_product(network, call.input(0), call.input(1), call.input(4), call.input(5))
    scale = network.op("Mul", call.input(2), call.input(3))
    result = network.op("Mul", network.op("Cast", sums[0], to=_FLOAT), scale)
    return [network.op("Add", result, call.input(6)) if call.input(6) else result]


def _dynamic_product(network: Rewriter, call: Call) -> Sequence[str] | None:
    """DynamicQuantizeMatMul: A, B, B's scale and zero point, a bias."""
    result = dynamic_product(network, *(call.input(index) for index in range(4)))
    return [network.op("Add", result, call.input(4)) if call.input(4) else result]


def dynamic_product(network: Rewriter, data: str, weights: str, scale: str, zero: str) -> str:
    """Of real numbers with integer weights: they are quantised over the range that they have, as ONNX Runtime does."""
    quantised, data_scale, data_zero = network.ops("DynamicQuantizeLinear", 3, data)
    sums = _exact_product(network, quantised, weights, data_zero, zero)
    return network.op("Mul", network.op("Cast", sums[0], to=_FLOAT), network.op("Mul", data_scale, scale))


RULES: dict[str, Rule] = {
    "QLinearConv": _convolution,
    "QLinearMatMul": _product,
    "ConvInteger": _integer_convolution,
    **{
        f"{_MICROSOFT}.{name}": rule
        for name, rule in {
            "QLinearConv": _convolution,
            "QGemm": _gemm,
            "QLinearAdd": _pair("Add"),
            "QLinearMul": _pair("Mul"),
            "QLinearConcat": _concatenated,
            "QLinearWhere": _where,
            "QLinearGlobalAveragePool": _single(_pool),
            "QLinearAveragePool": _single(_pool),
            "QLinearLeakyRelu": _single(lambda n, c, data: n.op("LeakyRelu", data, alpha=c.get("alpha", 0.01))),
            "QLinearSigmoid": _single(lambda n, c, data: n.op("Sigmoid", data)),
            "QLinearReduceMean": _single(_reduce_mean),
            "QLinearSoftmax": _single(lambda n, c, data: n.op("Softmax", data, axis=c.get("axis", -1))),
            "QuantizeLinear": of_onnx,
            "DequantizeLinear": of_onnx,
            "MatMulIntegerToFloat": _product_to_float,
            "DynamicQuantizeMatMul": _dynamic_product,
        }.items()
    },
}
