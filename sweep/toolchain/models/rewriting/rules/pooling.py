"""Pools in forms that TVM's importer lacks, or does otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES", "pads_otherwise"]

_SAME = ("SAME_UPPER", "SAME_LOWER")


def pads_otherwise(sizes: Sequence[int], given: Mapping[str, Any]) -> bool:
    """Whether TVM's importer pads a maximum that pads itself in another way than ONNX says.

    sizes: of its input's spatial axes. given: its attributes.
    """
    automatic = given.get("auto_pad", "NOTSET")
    if automatic not in _SAME:
        return False
    strides = given.get("strides") or [1] * len(sizes)
    uneven = any(size % stride for size, stride in zip(sizes, strides, strict=True))
    return any(total < 0 for total in _lacking(sizes, given)) or (automatic == "SAME_LOWER" and uneven)


def _lacking(sizes: Sequence[int], given: Mapping[str, Any]) -> list[int]:
    """How much wider each axis is to be, for an output of its size over the stride; below 0 where it is wide enough."""
    dims = len(sizes)
    strides, dilations = given.get("strides") or [1] * dims, given.get("dilations") or [1] * dims
    return [
        (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
        for size, stride, dilation, kernel in zip(sizes, strides, dilations, given["kernel_shape"], strict=True)
    ]


def _padding_itself(network: Rewriter, call: Call) -> Sequence[str] | None:
    """A maximum that is as large as its input over the stride, by explicit pads."""
    shape = network.shape(call.input(0))
    if shape is None or call.get("auto_pad", "NOTSET") not in _SAME:
        return None
    totals = [max(0, total) for total in _lacking(shape[2:], call.attributes)]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    pads = [*less, *more] if call.get("auto_pad") == "SAME_UPPER" else [*more, *less]
    kept = {name: value for name, value in call.attributes.items() if name not in ("auto_pad", "ceil_mode")}
    return network.ops(call.operator, len(call.outputs), *call.inputs, **{**kept, "pads": pads})


def _windows(call: Call, shape: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """The pads of a call; along each axis how many windows there are, and how much lies behind the input in them."""
    dims = len(shape) - 2
    strides, dilations = call.get("strides") or [1] * dims, call.get("dilations") or [1] * dims
    spans = [step * (size - 1) + 1 for step, size in zip(dilations, call.get("kernel_shape"), strict=True)]
    pads = list(call.get("pads") or [0] * (2 * dims))
    rests = [shape[2 + axis] + pads[axis] + pads[dims + axis] - spans[axis] for axis in range(dims)]
    whole = call.get("ceil_mode", 0)
    counts = [
        -(-rest // stride) + 1 if whole else rest // stride + 1 for rest, stride in zip(rests, strides, strict=True)
    ]
    for axis in range(dims):  # one that would begin in the padding behind is left out
        counts[axis] -= (counts[axis] - 1) * strides[axis] >= shape[2 + axis] + pads[axis]
    behind = [
        max(pads[dims + a], (counts[a] - 1) * strides[a] + spans[a] - shape[2 + a] - pads[a]) for a in range(dims)
    ]
    return pads, counts, behind


def _norm(network: Rewriter, call: Call) -> Sequence[str] | None:
    """LpPool whose last windows end outside: TVM takes the mean of what is in them for that of whole ones."""
    shape = network.shape(call.input(0))
    if not call.get("ceil_mode", 0) or shape is None or call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    pads, _, behind = _windows(call, shape)
    kept = {name: value for name, value in call.attributes.items() if name not in ("auto_pad", "ceil_mode")}
    return [network.op(call.operator, call.input(0), **{**kept, "pads": [*pads[: len(behind)], *behind]})]


def _with_places(network: Rewriter, call: Call) -> Sequence[str] | None:
    """MaxPool that also gives where each maximum lies in its input, counted over the whole of it."""
    shape = network.shape(call.input(0))
    if not call.output(1) or shape is None or network.dtype(call.input(0)).kind != "f":
        return None
    if call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    kernel, dims = call.get("kernel_shape"), len(shape) - 2
    strides, dilations = call.get("strides") or [1] * dims, call.get("dilations") or [1] * dims
    pads, counts, behind = _windows(call, shape)
    widths = np.array([0, 0, *pads[:dims], 0, 0, *behind])
    kind = network.dtype(call.input(0))
    data = network.op("Pad", call.input(0), widths, np.array(-np.inf, kind))
    order = (0, 1, *(range(2, dims + 2)[::-1] if call.get("storage_order", 0) else range(2, dims + 2)))
    numbers = np.arange(np.prod(shape)).reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    places = np.pad(numbers, [(0, 0), (0, 0), *zip(pads[:dims], behind, strict=True)])
    best = where = ""
    for inner in product(*map(range, kernel)):
        starts = [at * dilation for at, dilation in zip(inner, dilations, strict=True)]
        ends = [s + (c - 1) * t + 1 for s, c, t in zip(starts, counts, strides, strict=True)]
        value = network.op("Slice", data, np.array(starts), np.array(ends), np.arange(2, 2 + dims), np.array(strides))
        window: list[Any] = [slice(*bounds) for bounds in zip(starts, ends, strides, strict=True)]
        place = places[(slice(None), slice(None), *window)]
        if not best:
            best, where = value, network.keep(place)
            continue
        more = network.op("Greater", value, best)
        best, where = network.op("Where", more, value, best), network.op("Where", more, place, where)
    return [best, where]


def _max_pool(network: Rewriter, call: Call) -> Sequence[str] | None:
    made = _padding_itself(network, call)
    return _with_places(network, call) if made is None else made


def _unpool(network: Rewriter, call: Call) -> Sequence[str] | None:
    if call.input(2):
        raise ImportFailed(f"{call.label}: an output shape of its own is not supported")
    return None


RULES: dict[str, Rule] = {
    "LpPool": _norm,
    "MaxPool": _max_pool,
    "MaxUnpool": _unpool,
}
