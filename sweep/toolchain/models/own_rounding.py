"""How far the outputs of a network are from themselves once its inputs are off by their own rounding.

A network that rounds activations to the steps of a range which it finds as it runs has no one answer: a value between
two steps goes either way, and moves the range of all that follow. No two implementations can agree more closely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["distance_from_itself", "keeps_peaks", "rounds_as_it_runs"]

_Array = npt.NDArray[Any]

_RUNS, _ROUNDING = 4, 2e-7
"""Some two steps of a float32 of 1."""
_BY_RANGE = ("DynamicQuantize", "MatMulIntegerToFloat")

_LARGEST = ("MaxPool", "ReduceMax")
_COMPARES = ("Equal", "GreaterOrEqual", "LessOrEqual")
_MOVES = ("Cast", "Expand", "Identity", "Pad", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")
"""Operators that leave values as they are."""


def rounds_as_it_runs(model: Any) -> bool:
    """Whether an ONNX network has operators that find the range of a quantisation in the values that they round."""
    return any(node.op_type.startswith(_BY_RANGE) for node in model.graph.node)


def keeps_peaks(model: Any) -> bool:
    """Whether an ONNX network looks which values are equal to the largest of several."""
    makers = {name: node for node in model.graph.node for name in node.output}

    def is_largest(name: str) -> bool:
        node = makers.get(name)
        while node is not None and node.op_type in _MOVES:
            node = makers.get(node.input[0])
        return node is not None and node.op_type in _LARGEST

    return any(node.op_type in _COMPARES and any(map(is_largest, node.input)) for node in model.graph.node)


def distance_from_itself(
    run: Callable[[Mapping[str, _Array]], Sequence[_Array]], feeds: Mapping[str, _Array], outputs: Sequence[_Array]
) -> list[float]:
    """Of each output, the greatest of four runs, relative to its largest value. Raises what `run` raises."""
    random, found = np.random.default_rng(0), [0.0] * len(outputs)
    for _ in range(_RUNS):
        moved = {
            name: (each * (1 + _ROUNDING * random.standard_normal(each.shape))).astype(each.dtype)
            if each.dtype.kind == "f"
            else each
            for name, each in feeds.items()
        }
        found = [max(pair) for pair in zip(found, map(_distance, run(moved), outputs), strict=True)]
    return found


def _distance(one: _Array, other: _Array) -> float:
    if one.shape != other.shape or other.dtype.kind != "f" or not np.isfinite(other).all():
        return 0.0
    largest = float(np.abs(other).max(initial=0.0))
    return float(np.abs(one.astype("float64") - other).max(initial=0.0)) / largest if largest else 0.0
