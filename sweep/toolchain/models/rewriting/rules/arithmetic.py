"""Arithmetic that TVM's importer lacks, or does in another way than ONNX says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["OF_NOTHING", "RULES"]


def _power(network: Rewriter, call: Call) -> Sequence[str] | None:
    """The exponent's type may be another than the base's, which is the result's."""
    base, exponent = (network.element(call.input(index)) for index in (0, 1))
    if not base or not exponent:
        return None
    one, other = network.dtype(call.input(0)), network.dtype(call.input(1))
    if base == exponent and one.kind == "f":
        return None
    if one.kind == "f":
        cast = network.op("Cast", call.input(1), to=base)
        return [network.op("Pow", call.input(0), cast)]
    floats = 11 if other.kind != "f" or other.itemsize > 4 else 1
    operands = [network.op("Cast", call.input(index), to=floats) for index in (0, 1)]
    return [network.op("Cast", network.op("Pow", *operands), to=base)]


def _is_infinite(network: Rewriter, call: Call) -> Sequence[str] | None:
    positive, negative = call.get("detect_positive", 1), call.get("detect_negative", 1)
    if positive and negative:
        return None
    value, zero = call.input(0), np.zeros((), network.dtype(call.input(0)))
    if not positive and not negative:
        return [network.keep(np.zeros(network.shape(value) or (), bool))]
    sign = network.op("Greater" if positive else "Less", value, zero)
    return [network.op("And", network.op("IsInf", value), sign)]


def _cumulative_sum(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of an axis that is told at run time: that one of the sums along each."""
    shape = network.shape(call.input(0))
    if network.constant(call.input(1)) is not None or not shape:
        return None
    return [_chosen(network, call, len(shape))]


def _chosen(network: Rewriter, call: Call, rank: int) -> str:
    """What a call gives for the axis that its second input has."""
    axis = network.op("Reshape", call.input(1), np.zeros(0, np.int64))
    kind = network.dtype(axis)
    result = ""
    for at in range(rank):
        along = network.op(call.operator, call.input(0), np.array(at), **call.attributes)
        wanted = [network.op("Equal", axis, np.array(number, kind)) for number in (at, at - rank)]
        result = network.op("Where", network.op("Or", *wanted), along, result) if result else along
    return result


def _cumulative_product(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of each slice along the axis with those before it."""
    axis, shape = network.constant(call.input(1)), network.shape(call.input(0))
    if not shape:
        return None
    if axis is None:
        return [_chosen(network, call, len(shape))]
    at = int(axis.reshape(-1)[0]) % len(shape)
    order = list(range(shape[at]))
    if call.get("reverse", 0):
        order.reverse()
    rows = [network.op("Gather", call.input(0), np.array([index]), axis=at) for index in order]
    results: list[str] = []
    for number, row in enumerate(rows):
        if call.get("exclusive", 0):
            row_shape = tuple(1 if index == at else size for index, size in enumerate(shape))
            first = network.keep(np.ones(row_shape, network.dtype(row)))
            results.append(network.op("Mul", results[-1], rows[number - 1]) if number else first)
        else:
            results.append(network.op("Mul", results[-1], row) if number else row)
    if call.get("reverse", 0):
        results.reverse()
    return [results[0] if len(results) == 1 else network.op("Concat", *results, axis=at)]


def _shift(network: Rewriter, call: Call) -> Sequence[str] | None:
    """By as many bits as there are or more, or by fewer than none: zero, where a processor takes the lowest bits."""
    kind, by = network.dtype(call.input(0)), call.input(1)
    width = 8 * kind.itemsize
    known = network.constant(by)
    if known is not None and ((known >= 0) & (known < width)).all():
        return None
    usual = network.op("Less", by, np.array(width, kind))
    if kind.kind == "i":
        usual = network.op("And", usual, network.op("GreaterOrEqual", by, np.zeros((), kind)))
    # As a product or a quotient: a shift would come here again
    powers = 2 ** np.arange(width, dtype=np.uint64)  # of a signed type the last one is its least number
    table = powers.astype(kind)
    place = network.op("Cast", network.op("Where", usual, by, np.zeros((), kind)), to=7)
    last = np.array(len(powers) - 1)
    power = network.op("Gather", table, network.op("Min", place, last), axis=0)
    if call.get("direction") == "LEFT":
        moved = network.op("Mul", call.input(0), power)
    elif kind.kind == "u":
        moved = network.op("Div", call.input(0), power)
    else:
        return None
    return [network.op("Where", usual, moved, np.zeros((), kind))]


def _bits(network: Rewriter, call: Call) -> Sequence[str] | None:
    """BitCast of a boolean, which is 0 or 1; of the others TVM's importer has a converter of ours."""
    boolean = 9
    if network.element(call.input(0)) == call.get("to"):
        return [call.input(0)]
    if network.element(call.input(0)) != boolean:
        return None
    return [network.op("Cast", call.input(0), to=call.get("to"))]


def _one_hot(network: Rewriter, call: Call) -> Sequence[str] | None:
    """By a comparison with each class; the result has the type of the values."""
    depth, shape = network.constant(call.input(1)), network.shape(call.input(0))
    if depth is None or shape is None:
        return None
    count, kind = int(depth.reshape(-1)[0]), network.dtype(call.input(0))
    axis = call.get("axis", -1) % (len(shape) + 1)
    # What is no whole number is no class
    indices = call.input(0) if kind.kind == "f" else network.op("Cast", call.input(0), to=7)
    counted = kind if kind.kind == "f" else np.dtype(np.int64)
    if kind.kind != "u":
        negative = network.op("Less", indices, np.zeros((), counted))
        indices = network.op("Where", negative, network.op("Add", indices, np.array(count, counted)), indices)
    classes = np.arange(count, dtype=counted).reshape(
        [count if index == axis else 1 for index in range(len(shape) + 1)]
    )
    hit = network.op("Equal", network.op("Unsqueeze", indices, np.array([axis])), classes)
    off, on = (network.op("Reshape", _item(network, call.input(2), at), np.zeros(0, np.int64)) for at in (0, 1))
    return [network.op("Where", hit, on, off)]


def _item(network: Rewriter, value: str, at: int) -> str:
    return network.op("Slice", value, np.array([at]), np.array([at + 1]), np.array([0]))


def _remainder(network: Rewriter, call: Call) -> Sequence[str] | None:
    """As C's fmod has it: with the sign of the dividend. Without the attribute as Python has it: with the divisor's."""
    if network.dtype(call.input(0)).kind != "f":
        return None
    one, other = call.input(0), call.input(1)
    if not call.get("fmod", 0):
        rest = network.op("Sub", one, network.op("Mul", network.op("Floor", network.op("Div", one, other)), other))
        zero = np.zeros((), network.dtype(one))
        below = [network.op("Less", value, zero) for value in (one, other)]
        stays = network.op("Or", network.op("Equal", one, zero), network.op("Not", network.op("Xor", *below)))
        past = network.op("And", network.op("IsInf", other), network.op("Not", network.op("IsInf", one)))
        return [network.op("Where", past, network.op("Where", stays, one, other), rest)]
    size = network.op("Abs", network.op("Div", one, other))
    whole = network.op("Mul", network.op("Sign", network.op("Div", one, other)), network.op("Floor", size))
    return [network.op("Sub", one, network.op("Mul", whole, other))]


def _exponential(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Elu and Selu of other floats than those of 32 bits, whose constants TVM's importer always has in these."""
    data, kind = call.input(0), network.dtype(call.input(0))
    if kind == np.float32:
        return None
    alpha, gamma = (1.67326319217681884765625, 1.05070102214813232421875) if call.operator == "Selu" else (1.0, 1.0)
    one = np.ones((), kind)
    bent = network.op("Mul", network.op("Sub", network.op("Exp", data), one), np.array(call.get("alpha", alpha), kind))
    result = network.op("Where", network.op("Greater", data, np.zeros((), kind)), data, bent)
    return [network.op("Mul", result, np.array(call.get("gamma", gamma), kind)) if call.operator == "Selu" else result]


def _over_threshold(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ThresholdedRelu of other floats than those of 32 bits, in which TVM's importer has the threshold."""
    data, kind = call.input(0), network.dtype(call.input(0))
    if kind == np.float32:
        return None
    over = network.op("Greater", data, np.array(call.get("alpha", 1.0), kind))
    return [network.op("Where", over, data, np.zeros((), kind))]


def _first_of_one(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of a single operand: itself."""
    return [call.input(0)] if len(call.inputs) == 1 else None


def _in_pairs(operator: str) -> Rule:
    """Sum, Max and Min of many as a chain of two at a time, which fuse."""

    def rule(network: Rewriter, call: Call) -> Sequence[str] | None:
        if len(call.inputs) == 2 and operator != "Add":
            return None
        total = call.inputs[0]
        for value in call.inputs[1:]:
            total = network.op(operator, total, value)
        return [total]

    return rule


def _quick_gelu(network: Rewriter, call: Call) -> Sequence[str] | None:
    data = call.input(0)
    alpha = np.array(call.get("alpha", 1.702), network.dtype(data))
    return [network.op("Mul", data, network.op("Sigmoid", network.op("Mul", data, alpha)))]


def _lp_normalised(network: Rewriter, call: Call) -> Sequence[str] | None:
    """LpNormalization: zero where the norm is."""
    axis, order = call.get("axis", -1), call.get("p", 2)
    data = call.input(0)
    operator = "ReduceL1" if order == 1 else "ReduceL2"
    norm = network.reduced(operator, data, [axis])
    kind = network.dtype(data)
    empty = network.op("Equal", norm, np.zeros((), kind))
    return [network.op("Div", data, network.op("Where", empty, np.ones((), kind), norm))]


def _determinant(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of small matrices, by their first row."""
    shape = network.shape(call.input(0))
    if shape is None or shape[-1] > _LARGEST_DETERMINANT:
        return None
    rank = len(shape)

    def item(row: int, column: int) -> str:
        at = network.op("Gather", call.input(0), np.array(row), axis=rank - 2)
        return network.op("Gather", at, np.array(column), axis=rank - 2)

    def of(row: int, columns: Sequence[int]) -> str:
        if len(columns) == 1:
            return item(row, columns[0])
        total = ""
        for number, column in enumerate(columns):
            rest = of(row + 1, [other for other in columns if other != column])
            term = network.op("Mul", item(row, column), rest)
            total = term if not total else network.op("Sub" if number % 2 else "Add", total, term)
        return total

    return [of(0, list(range(shape[-1])))]


_LARGEST_DETERMINANT = 4


OF_NOTHING = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare")
"""Reductions that change what they do not reduce, where TVM's importer leaves it as it is."""


def _not_reduced(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Over no axes: of each value by itself."""
    axes = network.constant(call.input(1)) if call.input(1) else np.zeros(0)
    if not call.get("noop_with_empty_axes", 0) or axes is None or axes.size:
        return None
    data = call.input(0)
    if call.operator == "ReduceSumSquare":
        return [network.op("Mul", data, data)]
    return [network.op("Log" if call.operator == "ReduceLogSum" else "Abs", data)]


RULES: dict[str, Rule] = {
    "Pow": _power,
    "Elu": _exponential,
    "Selu": _exponential,
    "IsInf": _is_infinite,
    "ThresholdedRelu": _over_threshold,
    "BitShift": _shift,
    "CumSum": _cumulative_sum,
    "CumProd": _cumulative_product,
    "BitCast": _bits,
    "OneHot": _one_hot,
    "Mod": _remainder,
    "Sum": _in_pairs("Add"),
    "Max": _in_pairs("Max"),
    "Min": _in_pairs("Min"),
    "Mean": _first_of_one,
    **dict.fromkeys(OF_NOTHING, _not_reduced),
    "LpNormalization": _lp_normalised,
    "Det": _determinant,
    "com.microsoft.QuickGelu": _quick_gelu,
}
