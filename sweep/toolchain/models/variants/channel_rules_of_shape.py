"""What becomes of channels in each operator that moves, cuts or joins tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sweep.toolchain.models.variants.channel_analysis import ChannelAnalysis, Fix, Rule
from sweep.toolchain.models.variants.channel_units import Labels

__all__ = ["RULES_OF_SHAPE", "attribute"]

_SOFTMAX_OF_ONE_AXIS_SINCE = 13


def attribute(node: Any, name: str, default: Any) -> Any:
    """An attribute of a node, or what it is where it is not there."""
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _reshape(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known, data, out = found.of(node.input[0]), node.input[0], node.output[0]
    if known is None:
        return True
    axis, labels = known
    for ins, outs in _blocks(found.shapes[data], found.shapes[out]):
        if axis not in ins:
            continue
        moved = _moved(found, labels, axis, ins, outs, found.shapes[data], found.shapes[out])
        if moved is None:
            return False
        if node.op_type == "Reshape":
            if node.input[1] not in found.stored:
                return False
            found.fixes.append(Fix(number, "shape", moved[1], moved[0]))
        found.give(out, *moved)
        return True
    return False


def _moved(
    found: ChannelAnalysis,
    labels: Labels,
    axis: int,
    ins: Sequence[int],
    outs: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
) -> tuple[int, Labels] | None:
    """The axis and the labels after these axes of a tensor became those; None where they do not tell."""
    taken = [index for index in ins if before[index] > 1]
    made = [index for index in outs if after[index] > 1]
    if len(made) == 1:  # joined with what lies behind and before it
        sizes = [before[index] for index in taken]
        shape = [before[index] if index == axis else 1 for index in taken]
        return made[0], np.broadcast_to(labels.reshape(shape), sizes).reshape(-1)
    if taken != [axis]:
        return None
    rows = labels.reshape(-1, after[made[-1]])  # cut: each part loses the same, so that all stay of one size
    for row in rows[1:]:
        found.units.unite(rows[0], row)
    return made[-1], rows[0]


def _blocks(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Axes that became axes with as many elements, the least at a time."""
    left, right = 0, 0
    while left < len(before) or right < len(after):
        ins, outs = [], []
        if left < len(before):
            ins, left = [left], left + 1
        if right < len(after):
            outs, right = [right], right + 1
        while (one := math.prod(before[i] for i in ins)) != (other := math.prod(after[i] for i in outs)):
            if one < other and left < len(before):
                ins, left = [*ins, left], left + 1
            elif right < len(after):
                outs, right = [*outs, right], right + 1
            else:
                return
        yield ins, outs


def _transpose(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is not None:
        rank = len(found.shapes[node.input[0]])
        order = list(attribute(node, "perm", range(rank - 1, -1, -1)))
        found.give(node.output[0], order.index(known[0]), known[1])
    return True


def _concat(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = [found.of(name) for name in node.input]
    if not any(known):
        return True
    out = node.output[0]
    axis = int(attribute(node, "axis", 1)) % len(found.shapes[out])
    if all(one is None or one[0] == axis for one in known):
        parts = [found.on(name, axis) for name in node.input]
        found.give(out, axis, np.concatenate(parts))
        return True
    first = next(one for one in known if one is not None)
    if any(one is None or one[0] != first[0] for one in known):
        return False
    for one in known:
        if one is not None:
            found.units.unite(first[1], one[1])
    found.give(out, *first)
    return True


def _split(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    own, labels = known
    axis, start = int(attribute(node, "axis", 0)) % len(found.shapes[node.input[0]]), 0
    if axis != own:
        for name in node.output:
            found.give(name, own, labels)
        return True
    if found.opset < 13 or len(node.output) < 2:  # where the sizes are an attribute
        return False
    for name in node.output:
        size = found.shapes[name][axis]
        found.give(name, axis, labels[start : start + size])
        start += size
    found.fixes.append(Fix(number, "parts", labels, axis))
    return True


def _slice(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    own, labels = known
    if len(node.input) < 3 or any(name and name not in found.stored for name in node.input[1:]):
        return False
    rank = len(found.shapes[node.input[0]])
    starts, ends = (found.stored[name].reshape(-1) for name in node.input[1:3])
    axes = found.stored[node.input[3]].reshape(-1) if len(node.input) > 3 and node.input[3] else np.arange(starts.size)
    steps = found.stored[node.input[4]].reshape(-1) if len(node.input) > 4 else np.ones(starts.size, dtype=np.int64)
    for at, axis in enumerate(axes):
        if int(axis) % rank == own:
            if int(steps[at]) != 1:
                return False
            found.fixes.append(Fix(number, "bounds", labels, at))
            labels = labels[slice(int(starts[at]), int(ends[at]))]
    found.give(node.output[0], own, labels)
    return True


def _gather(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    own, labels = known
    axis = int(attribute(node, "axis", 0)) % len(found.shapes[node.input[0]])
    if axis != own:
        more = len(found.shapes[node.input[1]]) - 1
        found.give(node.output[0], own + (more if axis < own else 0), labels)
        return True
    if node.input[1] not in found.stored or found.stored[node.input[1]].ndim != 1:
        return False
    found.fixes.append(Fix(number, "indices", labels))
    found.give(node.output[0], own, labels[found.stored[node.input[1]]])
    return True


def _reduce(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    own, labels = known
    rank = len(found.shapes[node.input[0]])
    axes = attribute(node, "axes", None)
    if len(node.input) > 1 and node.input[1]:
        axes = found.stored[node.input[1]].reshape(-1) if node.input[1] in found.stored else None
    reduced = None if axes is None else {int(axis) % rank for axis in axes}
    if reduced is None or own in reduced:
        return False
    is_kept = bool(attribute(node, "keepdims", 1))
    found.give(node.output[0], own if is_kept else own - sum(axis < own for axis in reduced), labels)
    return True


def _softmax(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    axis = int(attribute(node, "axis", -1)) % len(found.shapes[node.input[0]])
    if found.opset < _SOFTMAX_OF_ONE_AXIS_SINCE or axis == known[0]:
        return False
    found.give(node.output[0], *known)
    return True


def _pad(found: ChannelAnalysis, number: int, node: Any) -> bool:
    known = found.of(node.input[0])
    if known is None:
        return True
    axis, labels = known
    if found.shapes[node.input[0]][axis] != found.shapes[node.output[0]][axis]:
        return False
    found.give(node.output[0], axis, labels)
    return True


_REDUCTIONS = "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare".split()
RULES_OF_SHAPE: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(_REDUCTIONS, _reduce),
}
