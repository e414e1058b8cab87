"""Large ensembles of decision trees as walks: from the roots a step at a time, in all rows and trees at once.

Products with matrices take values by the square of a tree's size: 20 GB for 10,000 trees of 240 conditions, whose nodes
take 80 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rules.learning.tree_conditions import Condition, Trees, compared

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["walked"]

_DEEPEST = 500
"""Steps from a root to a leaf."""


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Of all trees by number: the conditions, then the leaves, each of which goes on at itself."""

    conditions: Sequence[Condition]
    leaves: Sequence[Sequence[tuple[int, float]]]
    then: Any
    otherwise: Any
    roots: Any

    def column(self, values: Iterable[Any], dtype: Any) -> Any:
        """Of the conditions, and zeros for the leaves."""
        given = np.fromiter(values, dtype, len(self.conditions))
        return np.concatenate([given, np.zeros(len(self.leaves), given.dtype)])


def walked(network: Rewriter, data: str, rows: int, found: Trees, targets: int) -> str:
    """[rows, targets]: what the leaves that are reached add up to. data: [rows, features], floating.

    Raises ImportFailed for trees that are too deep.
    """
    nodes = _numbered(found)
    at = network.keep(np.repeat(nodes.roots[None], rows, axis=0))
    features = network.keep(nodes.column((condition.feature for condition in nodes.conditions), np.int32))
    then, otherwise = network.keep(nodes.then), network.keep(nodes.otherwise)
    holds = _Holding(network, nodes, network.dtype(data))
    for _ in range(_depth(nodes)):
        values = network.op("GatherElements", data, network.op("Gather", features, at), axis=1)
        at = network.op("Where", holds(values, at), network.op("Gather", then, at), network.op("Gather", otherwise, at))
    reached = network.op("Sub", at, np.array(len(nodes.conditions), np.int32))
    return _added_up(network, reached, nodes, targets, network.dtype(data))


def _numbered(found: Trees) -> _Nodes:
    place = {key: at for at, key in enumerate((*found.conditions, *found.leaves))}
    conditions = list(found.conditions.values())
    ends = np.arange(len(conditions), len(place), dtype=np.int32)

    def ways(keys: Iterable[Any]) -> Any:
        return np.concatenate([np.fromiter((place[key] for key in keys), np.int32, len(conditions)), ends])

    return _Nodes(
        conditions,
        list(found.leaves.values()),
        ways(condition.then for condition in conditions),
        ways(condition.otherwise for condition in conditions),
        np.array([place[key] for key in found.roots], np.int32),
    )


def _depth(nodes: _Nodes) -> int:
    """Of the deepest leaf."""
    at = nodes.roots
    for depth in range(_DEEPEST + 1):
        at = np.unique(at[at < len(nodes.conditions)])
        if not at.size:
            return depth
        at = np.concatenate([nodes.then[at], nodes.otherwise[at]])
    raise ImportFailed(f"a decision tree has leaves below more than {_DEEPEST} conditions")


class _Holding:
    """Which of the conditions hold that rows have come to."""

    def __init__(self, network: Rewriter, nodes: _Nodes, kind: Any) -> None:
        self._network = network
        self._limits = network.keep(nodes.column((condition.value for condition in nodes.conditions), kind))
        given = [condition.mode for condition in nodes.conditions]
        modes = list(dict.fromkeys(given))
        self._modes = {
            mode: network.keep(nodes.column((one == mode for one in given), np.bool_)) if len(modes) > 1 else ""
            for mode in modes
        }
        missing = nodes.column((condition.missing_is_true for condition in nodes.conditions), np.bool_)
        self._missing = network.keep(missing) if missing.any() else ""

    def __call__(self, values: str, at: str) -> str:
        """[rows, trees] of booleans. values: [rows, trees] that are compared. at: the numbers of the conditions."""
        op = self._network.op
        limits, holds = op("Gather", self._limits, at), ""
        for mode, is_mode in self._modes.items():
            one = compared(self._network, mode, values, limits)
            one = op("And", one, op("Gather", is_mode, at)) if is_mode else one
            holds = op("Or", holds, one) if holds else one
        if not self._missing:
            return holds
        return op("Or", holds, op("And", op("IsNaN", values), op("Gather", self._missing, at)))


def _added_up(network: Rewriter, reached: str, nodes: _Nodes, targets: int, kind: Any) -> str:
    """reached: [rows, trees], the numbers of leaves. Where leaves add to one target alone, as those of boosting do, no
    weights are kept for the others.
    """
    if any(len(leaf) != 1 for leaf in nodes.leaves):
        weights = np.zeros((len(nodes.leaves), targets), kind)
        for number, leaf in enumerate(nodes.leaves):
            for target, weight in leaf:
                weights[number, target] += weight
        return network.reduced("ReduceSum", network.op("Gather", weights, reached), [1], keepdims=0)
    of_leaves = np.array([leaf[0][0] for leaf in nodes.leaves], np.int32)
    given = network.op("Gather", np.array([leaf[0][1] for leaf in nodes.leaves], kind), reached)
    if targets == 1:
        return network.op("ReduceSum", given, np.array([1]), keepdims=1)
    chosen = network.op("Unsqueeze", network.op("Gather", of_leaves, reached), np.array([2]))
    is_chosen = network.op("Equal", chosen, np.arange(targets, dtype=np.int32))
    added = network.op("Where", is_chosen, network.op("Unsqueeze", given, np.array([2])), np.zeros((), kind))
    return network.op("ReduceSum", added, np.array([1]), keepdims=0)
