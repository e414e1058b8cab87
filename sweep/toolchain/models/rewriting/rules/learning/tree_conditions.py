"""Decision trees as data, and one condition of theirs in ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["Condition", "Trees", "compared"]

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


def compared(network: Rewriter, mode: str, values: str, limits: Any) -> str:
    """Whether conditions of a mode hold. Raises ImportFailed for one that is not known."""
    if mode == "BRANCH_NEQ":
        return network.op("Not", network.op("Equal", values, limits))
    if mode not in _COMPARISONS:
        raise ImportFailed(f"a decision tree branches by {mode}, which is not supported")
    return network.op(_COMPARISONS[mode], values, limits)
