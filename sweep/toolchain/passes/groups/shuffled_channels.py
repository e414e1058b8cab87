"""Finds shuffles of channels whose result is read by one convolution, at once or behind what treats each channel alone.

Channels that lie in `parts` parts of `size` are shuffled when the first of all parts come first, then the second ones.
What treats each channel alone, a depthwise convolution, a bias, a ReLU, can come before the shuffle as well as behind
it: its constants are put in the order that channels had before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["Shuffle", "Shuffled"]

_SWAPPED = [0, 2, 1]
_BY_NUMBER = ("relax.nn.relu", "relax.astype")
_BY_CHANNEL = ("relax.add", "relax.multiply", "relax.subtract", "relax.maximum", "relax.minimum")


@dataclass(frozen=True, slots=True)
class Shuffle:
    """One of channels that come last."""

    parts: int
    size: int

    def source_of(self, channel: Any) -> Any:
        """Where a channel of the result was before."""
        return channel % self.parts * self.size + channel // self.parts

    def undone(self, constant: Any, axis: int) -> Any:
        """A constant of one number a channel along an axis, in the order of before."""
        array = constant.value.numpy()
        if array.shape[axis] == 1:
            return constant
        order = np.empty(self.parts * self.size, dtype=np.int64)
        channels = np.arange(order.size)
        order[self.source_of(channels)] = channels
        return as_constant(np.ascontiguousarray(np.take(array, order, axis=axis)))


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A value that is a shuffle of another, and calls that treat each channel of it alone."""

    source: Any
    shuffle: Shuffle
    calls: tuple[Any, ...]
    """In their order."""

    @classmethod
    def before(cls, value: Any, values: Mapping[Any, Any], uses: Mapping[Any, int]) -> Shuffled | None:
        """What a value is, where nothing else reads what comes between. None: it is no such.

        values: what variables are bound to. uses: how often each is an operand.
        """
        calls: list[Any] = []
        while uses.get(value) == 1:
            call: Any = values.get(value)
            found = _shuffle(call, values, uses)
            if found is not None:
                return cls(*found, tuple(reversed(calls)))
            if not _is_by_channel(call):
                return None
            calls.append(call)
            value = call.args[0]
        return None

    def following(self) -> Iterator[Any]:
        """The calls as they are before the shuffle; each has the data first."""
        for call in self.calls:
            axis = str(call.attrs.kernel_layout).index("O") if operator_of(call) == "relax.nn.conv2d" else -1
            others = [self.shuffle.undone(one, axis) for one in call.args[1:]]
            yield relax.Call(call.op, [call.args[0], *others], call.attrs)


def _shuffle(call: Any, values: Mapping[Any, Any], uses: Mapping[Any, int]) -> tuple[Any, Shuffle] | None:
    """The data of a reshape, a transposition and a reshape that are one, and how they shuffle."""
    if operator_of(call) != "relax.reshape":
        return None
    turn: Any = values.get(call.args[0])
    if operator_of(turn) != "relax.permute_dims" or [int(one) for one in turn.attrs.axes or ()] != _SWAPPED:
        return None
    parted: Any = values.get(turn.args[0])
    if operator_of(parted) != "relax.reshape" or uses.get(call.args[0]) != 1 or uses.get(turn.args[0]) != 1:
        return None
    source = parted.args[0]
    shape, (positions, parts, size) = _shape(source), _shape(parted)
    is_of_channels = shape == _shape(call) and shape[-1] == parts * size and positions == math.prod(shape[:-1])
    return (source, Shuffle(parts, size)) if is_of_channels else None


def _is_by_channel(call: Any) -> bool:
    """Whether it treats each channel of its first operand alone, the others being constants."""
    name = operator_of(call)
    if name in _BY_NUMBER:
        return True
    if name == "relax.nn.conv2d":
        attrs, kernel = call.attrs, call.args[1]
        layouts = (str(attrs.data_layout), str(attrs.out_layout or attrs.data_layout))
        is_last = layouts == ("NHWC", "NHWC") and isinstance(kernel, GenericConst)
        channels = _shape(call.args[0])[-1]
        return is_last and int(attrs.groups) == channels == _shape(call)[-1]
    if name not in _BY_CHANNEL or not isinstance(call.args[1], GenericConst) or _shape(call) != _shape(call.args[0]):
        return False
    return math.prod(_shape(call.args[1])[:-1]) == 1 and len(_shape(call.args[1])) > 0


def _shape(value: Any) -> list[int]:
    return [int(size) for size in value.ty.shape]
