"""NaN and infinities where TVM's code for an operator loses them: it compares, and NaN is less than nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule
    from sweep.toolchain.models.rewriting.values_met import Met

__all__ = ["RULES", "concerned"]

_OF_ONE = ("Celu", "Clip", "Elu", "HardSigmoid", "Relu", "Selu", "Sign")


def concerned(model: Any, met: Met) -> bool:
    """Whether a node of a network would lose NaN or an infinity."""
    for node in model.graph.node:
        if node.op_type in (*_OF_ONE, "Max", "Min", "ThresholdedRelu") and met.not_numbers.intersection(node.input):
            return True
        if node.op_type in ("ReduceMax", "ReduceMin") and met.infinite.intersection(node.output):
            return True
    return False


def _kept(network: Rewriter, call: Call) -> Sequence[str] | None:
    """NaN where its first operand is, which else goes on without."""
    value = call.input(0)
    if value not in network.not_numbers or network.dtype(value).kind != "f":
        return None
    missing, number = _parted(network, value)
    result = network.op(call.operator, number, *call.inputs[1:], **call.attributes)
    return [network.op("Where", missing, value, result)]


def _kept_of_two(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Max and Min: NaN where an operand is."""
    if len(call.inputs) != 2 or not network.not_numbers.intersection(call.inputs):
        return None
    if network.dtype(call.input(0)).kind != "f":
        return None
    total, operands, missing = network.op("Add", *call.inputs), [], ""
    for value in call.inputs:
        if value in network.not_numbers:
            found, value = _parted(network, value)
            missing = network.op("Or", missing, found) if missing else found
        operands.append(value)
    result = network.op("Where", missing, total, network.op(call.operator, *operands))
    network.not_numbers.add(result)  # the next of a chain of two at a time
    return [result]


def _none_over_threshold(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ThresholdedRelu: NaN is over no threshold."""
    value = call.input(0)
    if value not in network.not_numbers:
        return None
    missing, number = _parted(network, value)
    result = network.op(call.operator, number, **call.attributes)
    return [network.op("Where", missing, np.zeros((), network.dtype(value)), result)]


def _parted(network: Rewriter, value: str) -> tuple[str, str]:
    """Where NaN is, and the value with zero there."""
    missing = network.op("IsNaN", value)
    return missing, network.op("Where", missing, np.zeros((), network.dtype(value)), value)


def _greatest(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ReduceMax and ReduceMin of nothing but infinities, where TVM begins with the least and greatest finite number."""
    data, kind = call.input(0), network.dtype(call.input(0))
    if kind.kind != "f" or data in network.with_a_number:
        return None
    if not network.has_infinities and call.output(0) not in network.infinite:
        return None
    lost = np.array(-np.inf if call.operator == "ReduceMax" else np.inf, kind)
    some = network.op("Not", network.op("Equal", data, lost))
    numbers = network.op("Cast", some, to=network.element(data))
    network.with_a_number |= {numbers, data}
    found = network.op("ReduceMax", numbers, *call.inputs[1:], **call.attributes)
    result = network.op(call.operator, *call.inputs, **call.attributes)
    network.with_a_number.discard(data)
    return [network.op("Where", network.op("Greater", found, np.zeros((), kind)), result, lost)]


def _by_nothing(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Div by a constant zero, which TVM refuses: times infinity."""
    divisor = network.constant(call.input(1)) if call.input(1) else None
    if divisor is None or divisor.dtype.kind != "f" or divisor.size != 1 or divisor.reshape(-1)[0] != 0:
        return None
    return [network.op("Mul", call.input(0), np.copysign(np.array(np.inf, divisor.dtype), divisor))]


RULES: dict[str, Rule] = {
    **dict.fromkeys(_OF_ONE, _kept),
    "Max": _kept_of_two,
    "Min": _kept_of_two,
    "ThresholdedRelu": _none_over_threshold,
    "ReduceMax": _greatest,
    "ReduceMin": _greatest,
    "Div": _by_nothing,
}
