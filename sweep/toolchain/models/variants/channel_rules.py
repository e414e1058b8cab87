"""What becomes of channels in each operator that makes, joins, scales or combines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sweep.toolchain.models.variants.channel_analysis import ChannelAnalysis, Fix, Rule
from sweep.toolchain.models.variants.channel_rules_of_shape import RULES_OF_SHAPE, attribute
from sweep.toolchain.models.variants.channel_units import STAYS, Labels

__all__ = ["RULES"]

_AS_IT_IS = (
    "Abs BatchNormalization Cast Ceil Celu Clip Cos Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity "
    "LeakyRelu Mish Neg Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Tanh ThresholdedRelu Not"
).split()
_WINDOWS = (
    "AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool InstanceNormalization Resize Upsample"
).split()
_OF_SEVERAL = "Add Sub Mul Div Pow Max Min Mean Sum PRelu Where Mod And Or Xor Equal Greater Less BitShift".split()


def _convolution(found: ChannelAnalysis, number: int, node: Any) -> bool:
    data, weight = node.input[0], node.input[1]
    if weight not in found.stored:
        return False
    groups, shape = int(attribute(node, "group", 1)), found.shapes[weight]
    taken = found.on(data, 1)
    outputs, channels = shape[0], taken.size
    if groups == 1:
        made = _filters(found, weight, 0, outputs)
        found.take(weight, {0: made, 1: taken})
    elif groups == channels and outputs % groups == 0:
        made = np.repeat(taken, outputs // groups)  # depthwise: a filter goes with its channel
        found.take(weight, {0: made})
        found.producers.append((weight, 0, made))
        found.fixes.append(Fix(number, "group", taken))
    elif channels % groups == 0 and outputs % groups == 0:
        rows = taken.reshape(groups, -1)
        for row in rows[1:]:  # each group loses the same, so that all stay of one size
            found.units.unite(rows[0], row)
        made = np.tile(found.units.new(outputs // groups), groups)
        found.producers.append((weight, 0, made))
        found.take(weight, {0: made, 1: rows[0]})
    else:
        return False
    if len(node.input) > 2 and node.input[2]:
        _take_vector(found, node.input[2], made)
    found.give(node.output[0], 1, made)
    return True


def _transposed_convolution(found: ChannelAnalysis, number: int, node: Any) -> bool:
    data, weight = node.input[0], node.input[1]
    if weight not in found.stored or int(attribute(node, "group", 1)) != 1:
        return False
    made = _filters(found, weight, 1, found.shapes[weight][1])
    found.take(weight, {0: found.on(data, 1), 1: made})
    if len(node.input) > 2 and node.input[2]:
        _take_vector(found, node.input[2], made)
    found.give(node.output[0], 1, made)
    return True


def _dense(found: ChannelAnalysis, number: int, node: Any) -> bool:
    data, weight = node.input[0], node.input[1]
    if weight not in found.stored or len(found.shapes[weight]) != 2 or attribute(node, "transA", 0):
        return False
    rows, columns = (1, 0) if attribute(node, "transB", 0) else (0, 1)
    last = len(found.shapes[data]) - 1
    taken = found.on(data, last)
    made = _filters(found, weight, columns, found.shapes[weight][columns])
    found.take(weight, {rows: taken, columns: made})
    if len(node.input) > 2 and node.input[2]:
        bias = node.input[2]
        if bias in found.stored and found.shapes[bias] and found.shapes[bias][-1] == made.size:
            found.take(bias, {len(found.shapes[bias]) - 1: made})
        elif bias not in found.stored or math.prod(found.shapes[bias]) != 1:
            found.units.keep(made)
            found.keep(bias)
    found.give(node.output[0], len(found.shapes[node.output[0]]) - 1, made)
    return True


def _filters(found: ChannelAnalysis, weight: str, axis: int, count: int) -> Labels:
    """The channels that a layer makes. A single one stays."""
    if count == 1:
        return np.full(1, STAYS, dtype=np.int64)
    made = found.units.new(count)
    found.producers.append((weight, axis, made))
    return made


def _take_vector(found: ChannelAnalysis, name: str, labels: Labels, *, is_weight: bool = True) -> None:
    if name in found.stored and found.shapes[name] == labels.shape:
        found.take(name, {0: labels}, is_weight=is_weight)
    else:
        found.units.keep(labels)


def _as_it_is(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    axis, labels = known
    if node.op_type == "BatchNormalization":
        if axis != 1:
            return False
        for place, name in enumerate(node.input[1:]):  # a variance of zero would be a divisor
            _take_vector(found, name, labels, is_weight=place < 3)
    found.give(node.output[0], axis, labels)
    return True


def _window(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known, data, out = found.of(node.input[0]), node.input[0], node.output[0]
    if known is None:
        return True
    axis, labels = known
    if axis != 1 or len(node.output) > 1 or found.shapes[data][1] != found.shapes[out][1]:
        return False
    if node.op_type == "InstanceNormalization":
        for name in node.input[1:]:
            _take_vector(found, name, labels)
    if node.op_type == "Resize" and len(node.input) > 3 and node.input[3]:
        if node.input[3] not in found.stored or attribute(node, "axes", None):
            return False
        found.fixes.append(Fix(number, "sizes", labels, 1))
    found.give(out, 1, labels)
    return True


def _of_several(found: ChannelAnalysis, number: int, node: Any) -> bool:
    """Channels at one place of the operands go together; an operand of a single one there goes with all."""
    if attribute(node, "axis", None) is not None:  # of before numpy's broadcasting
        return False
    rank = len(found.shapes[node.output[0]])
    known = {name: found.of(name) for name in node.input if name}
    axes = {rank - len(found.shapes[name]) + one[0] for name, one in known.items() if one is not None}
    if not axes:
        return True
    if len(axes) > 1:
        return False
    axis = axes.pop()
    size = found.shapes[node.output[0]][axis]
    labels: Labels | None = None
    for name in known:
        own = axis - (rank - len(found.shapes[name]))
        if own < 0 or found.shapes[name][own] == 1 or name in found.stored:
            continue
        one = known[name]
        operand = np.full(size, STAYS, dtype=np.int64) if one is None else one[1]
        if labels is None:
            labels = operand
        else:
            found.units.unite(labels, operand)
    if labels is None or labels.size != size:
        return False
    if not labels.any():  # the first one stays, and so do those that are united with it
        labels = next(one[1] for one in known.values() if one is not None)
    for name in known:
        own = axis - (rank - len(found.shapes[name]))
        if name in found.stored and own >= 0 and found.shapes[name][own] > 1:
            found.take(name, {own: labels}, is_weight=False)
    found.give(node.output[0], axis, labels)
    return True


RULES: dict[str, Rule] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _dense,
    "MatMul": _dense,
    **dict.fromkeys(_AS_IT_IS, _as_it_is),
    **dict.fromkeys(_WINDOWS, _window),
    **dict.fromkeys(_OF_SEVERAL, _of_several),
    **RULES_OF_SHAPE,
}
