"""Knows weights again, whatever order, padding and packing a compiler has given them: by sums over what is not zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isclose, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WeightPrint"]

_NEARLY_NONE = 1e-6
"""Of the largest weight: what is smaller may be what rounding has left of none."""
_ROUNDING = 1e-3
"""Folding a norm moves the sums by less; those of other weights are as far off as they are large."""


@dataclass(frozen=True, slots=True)
class WeightPrint:
    """Of one array, or of several that lie in one."""

    count: int
    """Of the numbers that are not zero: padding is."""
    total: float
    absolute: float
    squares: float
    is_whole: bool
    """Whether they are whole numbers, which nothing rounds."""
    unsure: int = 0
    """How many more may not be zero."""

    @classmethod
    def of(cls, array: npt.NDArray[Any], *, is_rounded: bool = False) -> WeightPrint:
        """Of an array of any number type. is_rounded: its zeros may have become small numbers."""
        is_whole = array.dtype.kind in "iub"
        values = np.asarray(array).astype(np.float64).ravel()
        least = _NEARLY_NONE * float(np.abs(values).max(initial=0.0)) if is_rounded else 0.0
        kept = values[np.abs(values) > least]
        sums = float(kept.sum()), float(np.abs(kept).sum()), float(kept @ kept)
        return cls(len(kept), *sums, is_whole, len(values) - len(kept) if is_rounded else 0)

    @classmethod
    def of_all(cls, prints: Iterable[WeightPrint]) -> WeightPrint:
        """Of arrays that are put into one."""
        parts = list(prints)
        return cls(
            sum(one.count for one in parts),
            sum(one.total for one in parts),
            sum(one.absolute for one in parts),
            sum(one.squares for one in parts),
            all(one.is_whole for one in parts),
            sum(one.unsure for one in parts),
        )

    def distance(self, other: WeightPrint) -> float | None:
        """How far the sums of two are apart, from 0 on; None where these are other weights."""
        if (
            abs(self.count - other.count) > self.unsure + other.unsure
            or self.is_whole != other.is_whole
            or not self.count
        ):
            return None
        if self.is_whole:
            same = (self.total, self.absolute, self.squares) == (other.total, other.absolute, other.squares)
            return 0.0 if same else None
        of_total = abs(self.total - other.total) / sqrt(max(self.squares, other.squares))
        is_near = isclose(self.absolute, other.absolute, rel_tol=_ROUNDING) and of_total <= _ROUNDING
        return of_total if is_near and isclose(self.squares, other.squares, rel_tol=2 * _ROUNDING) else None
