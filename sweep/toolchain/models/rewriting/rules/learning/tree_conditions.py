"""Decision trees as data, and one condition of theirs in ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["Condition", "Trees", "check_trees", "compared"]

_COMPARISONS = {
    "BRANCH_LEQ": "LessOrEqual",
    "BRANCH_LT": "Less",
    "BRANCH_GTE": "GreaterOrEqual",
    "BRANCH_GT": "Greater",
    "BRANCH_EQ": "Equal",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A node that branches."""

    feature: int
    mode: str
    value: float
    missing_is_true: bool
    then: Any
    otherwise: Any
    """Where it goes on: the key of a condition or of a leaf."""


@dataclass(frozen=True, slots=True)
class Trees:
    """An ensemble."""

    conditions: Mapping[Any, Condition]
    leaves: Mapping[Any, Sequence[tuple[int, float]]]
    """By key, what a leaf adds to which target."""
    roots: Sequence[Any]


def check_trees(found: Trees, features: int | None, targets: int) -> None:
    """features: of the data, None where that is not known. Leaves may be shared, as some exporters do.

    Raises ImportFailed where the ways through conditions lead elsewhere than down to leaves, or look at no feature, or
    a leaf adds to no target.
    """
    begun = set(found.roots)
    for condition in found.conditions.values():
        for way in (condition.then, condition.otherwise):
            if way in found.conditions:
                if way in begun:
                    raise ImportFailed("a decision tree goes in a circle, or comes to one of its conditions twice")
                begun.add(way)
            elif way not in found.leaves:
                raise ImportFailed("a decision tree goes on at a node that it has not")
        if condition.feature < 0 or (features is not None and condition.feature >= features):
            raise ImportFailed(f"a decision tree looks at feature {condition.feature} of {features or 'the data'}")
    for target in (target for leaf in found.leaves.values() for target, _ in leaf):
        if not 0 <= target < targets:
            raise ImportFailed(f"a decision tree adds to output {target} of {targets}")


def compared(network: Rewriter, mode: str, values: str, limits: Any) -> str:
    """Whether conditions of a mode hold. Raises ImportFailed for one that is not known."""
    if mode == "BRANCH_NEQ":
        return network.op("Not", network.op("Equal", values, limits))
    if mode not in _COMPARISONS:
        raise ImportFailed(f"a decision tree branches by {mode}, which is not supported")
    return network.op(_COMPARISONS[mode], values, limits)
