"""Sequences and optional values, which are known by their elements: what takes tensors out of them takes these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

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


def _place(network: Rewriter, name: str, count: int, default: int) -> int | None:
    """Where in a sequence; None where data decide."""
    if not name:
        return default
    given = network.constant(name)
    if given is None:
        return None
    at = int(given.reshape(-1)[0])
    return at + count if at < 0 else at


def _insert(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = network.sequences.get(call.input(0))
    if elements is None:
        return None
    at = _place(network, call.input(2), len(elements), len(elements))
    return None if at is None else _made(network, [*elements[:at], call.input(1), *elements[at:]])


def _erase(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = network.sequences.get(call.input(0))
    if elements is None:
        return None
    at = _place(network, call.input(1), len(elements), len(elements) - 1)
    return None if at is None else _made(network, [*elements[:at], *elements[at + 1 :]])


def _at(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = network.sequences.get(call.input(0))
    at = None if elements is None else _place(network, call.input(1), len(elements), 0)
    return None if at is None or elements is None or not 0 <= at < len(elements) else [elements[at]]


def _length(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = network.sequences.get(call.input(0))
    return None if elements is None else [network.keep(np.array(len(elements), np.int64))]


def _concatenated(network: Rewriter, call: Call) -> Sequence[str] | None:
    elements = network.sequences.get(call.input(0))
    if not elements:
        return None
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
            return None
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
