"""Counts of runs of integers in rows of them, as text classifiers take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_INT64 = 7
_MOST_COMPARED = 1 << 22
"""Elements of a comparison, at most."""


def _counts(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TfIdfVectorizer of integers: each gram is compared with all places of a row, with all gaps."""
    shape, gaps = network.shape(call.input(0)), call.get("max_skip_count")
    if shape is None or len(shape) not in (1, 2) or "pool_int64s" not in call.attributes:
        return None
    rows, length = (1, *shape) if len(shape) == 1 else shape
    places = np.array(call.get("ngram_indexes"), np.int64)
    if rows * length * places.size > _MOST_COMPARED:
        return None
    data = network.op("Reshape", network.op("Cast", call.input(0), to=_INT64), np.array([rows, length]))
    counts = []
    for size, grams in _grams(call):
        is_counted = call.get("min_gram_length") <= size <= call.get("max_gram_length")
        steps = range(1, (1 if size == 1 else gaps + 1) + 1) if is_counted else ()
        found = [_found(network, data, grams, step, length) for step in steps if length - step * (size - 1) > 0]
        total = np.zeros((rows, len(grams)), np.float32) if not found else found[0]
        for more in found[1:]:
            total = network.op("Add", total, more)
        counts.append(total)
    total = network.op("Concat", *counts, axis=1)
    if call.get("mode") == "IDF":
        total = network.op("Min", total, np.ones(1, np.float32))
    weights = call.get("weights") if call.get("mode") != "TF" else None
    to = np.zeros((places.size, int(places.max()) + 1), np.float32)
    to[np.arange(places.size), places] = 1 if weights is None else weights
    result = network.op("MatMul", total, to)
    return [network.op("Reshape", result, np.array([*shape[:-1], to.shape[1]]))]


def _grams(call: Call) -> Iterator[tuple[int, Any]]:
    """By their length, in the order of their places."""
    pool = np.array(call.get("pool_int64s"), np.int64)
    for size, (start, end) in enumerate(pairwise([*call.get("ngram_counts"), pool.size]), 1):
        if end > start:
            yield size, pool[start:end].reshape(-1, size)


def _found(network: Rewriter, data: str, grams: Any, step: int, length: int) -> str:
    """How often each gram is in each row, with its items so many apart."""
    windows = length - step * (grams.shape[1] - 1)
    matches = ""
    for item in range(grams.shape[1]):
        start = item * step
        part = network.op("Slice", data, np.array([start]), np.array([start + windows]), np.array([1]))
        same = network.op("Equal", network.op("Unsqueeze", part, np.array([2])), grams[:, item])
        matches = network.op("And", matches, same) if matches else same
    return network.op("ReduceSum", network.op("Cast", matches, to=1), np.array([1]), keepdims=0)


RULES: dict[str, Rule] = {"TfIdfVectorizer": _counts}
