"""Sequences and optional values, which are known by their elements: what takes tensors out of them takes these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]


def _made(network: Rewriter, elements: Sequence[str]) -> list[str]:
    name = network.new_name("sequence")
    network.sequences[name] = tuple(elements)
    return [name]


def _construct(network: Rewriter, call: Call) -> Sequence[str] | None:
    return _made(network, call.inputs)


def _elements(network: Rewriter, call: Call) -> tuple[str, ...]:
    """Of the sequence that a call takes first. Raises ImportFailed where they are not known."""
    elements = network.sequences.get(call.input(0))
    if elements is None:
        raise ImportFailed(f"{call.label}: the sequence that it takes depends on data")
    return elements


def _place(network: Rewriter, call: Call, index: int, count: int, default: int) -> int:
    """Where in a sequence. Raises ImportFailed where data decide."""
    if not call.input(index):
        return default
    given = network.constant(call.input(index))
    if given is None:
        raise ImportFailed(f"{call.label}: where in the sequence depends on data")
    at = int(given.reshape(-1)[0])
    return at + count if at < 0 else at


def _insert(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = _elements(network, call)
    at = _place(network, call, 2, len(elements), len(elements))
    return _made(network, [*elements[:at], call.input(1), *elements[at:]])


def _erase(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = _elements(network, call)
    at = _place(network, call, 1, len(elements), len(elements) - 1)
    return _made(network, [*elements[:at], *elements[at + 1 :]])


def _at(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = _elements(network, call)
    at = _place(network, call, 1, len(elements), 0)
    if not 0 <= at < len(elements):
        raise ImportFailed(f"{call.label}: takes element {at} of {len(elements)}")
    return [elements[at]]


def _length(network: Rewriter, call: Call) -> Sequence[str] | None:
    return [network.keep(np.array(len(_elements(network, call)), np.int64))]


def _concatenated(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = _elements(network, call)
    axis = call.get("axis", 0)
    if call.get("new_axis", 0):
        rank = network.rank(elements[0])
        if rank is None:
            return None
        at = np.array([axis % (rank + 1)], np.int64)
        elements = tuple(network.op("Unsqueeze", value, at) for value in elements)
    return [network.op("Concat", *elements, axis=axis)]


def _split(network: Rewriter, call: Call) -> Sequence[str] | None:
    shape = network.shape(call.input(0))
    if shape is None:
        return None
    axis = call.get("axis", 0) % len(shape)
    size, keeps = shape[axis], True
    if not call.input(1):
        parts, keeps = [1] * size, bool(call.get("keepdims", 1))
    else:
        given = network.constant(call.input(1))
        if given is None:
            raise ImportFailed(f"{call.label}: how it is split depends on data")
        if given.ndim == 0:
            step = int(given)
            parts = [min(step, size - begin) for begin in range(0, size, step)]
        else:
            parts = [int(part) for part in given]
    at = np.array([axis], np.int64)
    ends = np.cumsum(parts)
    pieces = []
    for part, end in zip(parts, ends, strict=True):
        piece = network.op("Slice", call.input(0), np.array([end - part]), np.array([end]), at)
        pieces.append(piece if keeps else network.op("Squeeze", piece, at))
    return _made(network, pieces)


def _optional(network: Rewriter, call: Call) -> Sequence[str] | None:
    return [call.input(0)] if call.input(0) else None


def _has_element(network: Rewriter, call: Call) -> Sequence[str] | None:
    return [network.keep(np.array(bool(call.input(0))))]


RULES = {
    "SequenceConstruct": _construct,
    "SequenceEmpty": _construct,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceAt": _at,
    "SequenceLength": _length,
    "ConcatFromSequence": _concatenated,
    "SplitToSequence": _split,
    "Optional": _optional,
    "OptionalGetElement": _optional,
    "OptionalHasElement": _has_element,
}
