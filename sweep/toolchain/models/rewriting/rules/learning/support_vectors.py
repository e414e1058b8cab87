"""Support vector machines: how near each support vector is, by a kernel, times its coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rules.learning.trees import integer_labels

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["classifier", "regressor"]

_FLOAT = 1
_KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


def regressor(network: Rewriter, call: Call) -> Sequence[str] | None:
    """SVMRegressor."""
    count, coefficients = int(call.get("n_supports", 0)), _array(call, "coefficients")
    data, shape = network.op("Cast", call.input(0), to=_FLOAT), network.shape(call.input(0))
    if shape is None or len(shape) != 2 or call.get("post_transform", "NONE") != "NONE":
        return None
    near = _nearness(network, call, data, count) if count else data
    score = network.op("MatMul", near, coefficients.reshape(-1, 1))
    score = network.op("Add", score, _array(call, "rho")[:1])
    if not call.get("one_class", 0):
        return [score]
    zero, one = np.zeros((), np.float32), np.ones((), np.float32)
    return [network.op("Where", network.op("Greater", score, zero), one, -one)]


def classifier(network: Rewriter, call: Call) -> Sequence[str] | None:
    """SVMClassifier of integer labels with support vectors: each pair of classes has a score, positive where the first
    of them has its vote. Raises ImportFailed for probabilities.
    """
    if call.get("prob_a"):
        raise ImportFailed(f"{call.label}: its probabilities are found by iteration, which is not supported")
    labels, counts = integer_labels(call, "classlabels_ints"), [int(one) for one in call.get("vectors_per_class") or ()]
    data, shape = network.op("Cast", call.input(0), to=_FLOAT), network.shape(call.input(0))
    if len(counts) != len(labels) or shape is None or len(shape) != 2 or call.get("post_transform", "NONE") != "NONE":
        return None
    pairs = list(combinations(range(len(labels)), 2))
    weights = _of_pairs(_array(call, "coefficients").reshape(len(labels) - 1, -1), counts, pairs)
    near = _nearness(network, call, data, sum(counts))
    score = network.op("Add", network.op("MatMul", near, weights), _array(call, "rho"))
    both = network.op("Concat", network.op("Neg", score), score, axis=1) if len(pairs) == 1 else score
    return [_by_votes(network, score, labels, pairs), both]


def _by_votes(network: Rewriter, score: str, labels: Sequence[int], pairs: Sequence[tuple[int, int]]) -> str:
    """score: [rows, pairs]."""
    wins, losses = np.zeros((2, len(pairs), len(labels)), np.float32)
    for at, (one, other) in enumerate(pairs):
        wins[at, one], losses[at, other] = 1, 1
    is_won = network.op("Cast", network.op("Greater", score, np.zeros((), np.float32)), to=_FLOAT)
    votes = network.op("Add", network.op("MatMul", is_won, wins - losses), losses.sum(axis=0))
    return network.op("Gather", np.array(labels), network.op("ArgMax", votes, axis=1, keepdims=0))


def _of_pairs(coefficients: Any, counts: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Any:
    """[vectors, pairs]. coefficients: [classes but one, vectors]: of a vector, for each class that is not its own."""
    ends = np.cumsum([0, *counts])
    weights = np.zeros((ends[-1], len(pairs)), np.float32)
    for at, (one, other) in enumerate(pairs):
        mine, others = slice(ends[one], ends[one + 1]), slice(ends[other], ends[other + 1])
        weights[mine, at], weights[others, at] = coefficients[other - 1, mine], coefficients[one, others]
    return weights


def _array(call: Call, attribute: str) -> Any:
    return np.array(call.get(attribute) or [], np.float32)


def _nearness(network: Rewriter, call: Call, data: str, count: int) -> str:
    """[rows, vectors]. Raises ImportFailed for a kernel that is not known."""
    gamma, offset, degree = (np.array(each, np.float32) for each in (call.get("kernel_params") or (0, 0, 3)))
    kernel, vectors = call.get("kernel_type", "LINEAR"), _array(call, "support_vectors").reshape(count, -1)
    if kernel not in _KERNELS:
        raise ImportFailed(f"{call.label}: its kernel_type is {kernel}; known are {', '.join(_KERNELS)}")
    if kernel == "RBF":
        apart = network.op("Sub", network.op("Unsqueeze", data, np.array([1])), vectors[None])
        squares = network.reduced("ReduceSumSquare", apart, [2], keepdims=0)
        return network.op("Exp", network.op("Mul", squares, -gamma))
    near = network.op("MatMul", data, vectors.T)
    if kernel in ("POLY", "SIGMOID"):
        near = network.op("Add", network.op("Mul", near, gamma), offset)
        near = network.op("Tanh", near) if kernel == "SIGMOID" else network.op("Pow", near, degree)
    return near
