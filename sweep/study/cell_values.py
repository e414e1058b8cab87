"""Values of many cells on the same axes, read quickly: a grid may have a million cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from sweep.study.axes import FIRST
from sweep.study.spec import Cell

__all__ = ["values_on"]


def values_on(axes: Sequence[str]) -> Callable[[Cell], tuple[Any, ...]]:
    """A function that gives a cell's values on these axes, in this order; see `Cell.value`."""
    names = tuple(axes)
    if not names:
        return lambda cell: ()
    if not set(names) <= set(FIRST):
        return lambda cell: tuple([cell.value(name) for name in names])
    value = attrgetter(*names)  # fields: looking for them by name took half of the time of a plan
    return value if len(names) > 1 else lambda cell: (value(cell),)
