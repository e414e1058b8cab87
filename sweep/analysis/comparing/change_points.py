"""Finds where a series has changed its level, and how sure that is. Pure; the same series gives the same answer.

The series is cut where the ranks of its two sides differ most (Pettitt, Applied Statistics 1979), if the series in
another order seldom shows as much, which permutations tell; then each side is looked at again. Ranks, since one wild
value is no change of level.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["SEVERAL", "ChangePoint", "change_points"]

LEVEL = 0.01
"""How often a series without a change may be cut. With fewer than five values on each side no order is so rare."""
PERMUTATIONS = 999
SEVERAL = 2
"""Fewest values of a side."""
LEAST = 0.02
"""A level that differs by less is the same: it does not change what one ships (`SAME_WITHIN` of comparisons)."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level."""

    at: int
    """Index of the first value of the new level."""
    ratio: float
    """Median of the new level over that of the old one, up to the changes before and after."""
    p: float
    """Share of the permutations that show as much."""


def change_points(values: Sequence[float], seed: int = 0) -> list[ChangePoint]:
    """The changes of level of a series of positive values, in their order."""
    series = np.asarray(values, dtype=np.float64)
    cuts: dict[int, float] = {}
    _split(series, 0, seed, cuts)
    while True:  # a cut that proves too small joins its two sides, and the neighbours are judged anew
        ends = [0, *sorted(cuts), len(series)]
        medians = [float(np.median(series[low:high])) for low, high in itertools.pairwise(ends)] if cuts else []
        found = [
            ChangePoint(at, medians[index + 1] / medians[index], cuts[at]) for index, at in enumerate(sorted(cuts))
        ]
        small = [one for one in found if max(one.ratio, 1 / one.ratio) < 1 + LEAST]
        if not small:
            return found
        del cuts[min(small, key=lambda one: max(one.ratio, 1 / one.ratio)).at]


def _split(series: NDArray[np.float64], offset: int, seed: int, cuts: dict[int, float]) -> None:
    if len(series) < 2 * SEVERAL:
        return
    ranks = rankdata(series)
    statistics = _statistics(ranks[np.newaxis, :])[0]
    at = int(np.argmax(statistics)) + SEVERAL
    orders = np.random.default_rng((seed, offset, len(series))).permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    p = (1 + int((_statistics(orders).max(axis=1) >= statistics.max() - 1e-9).sum())) / (PERMUTATIONS + 1)
    if p > LEVEL:
        return
    cuts[offset + at] = p
    _split(series[:at], offset, seed, cuts)
    _split(series[at:], offset + at, seed, cuts)


def _statistics(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """|mean rank of one side - that of the other| in standard deviations, for each cut; a row a series."""
    count = ranks.shape[1]
    left = np.arange(SEVERAL, count - SEVERAL + 1)
    sums = np.cumsum(ranks, axis=1)[:, left - 1]
    expected = left * (count + 1) / 2
    spread = np.sqrt(left * (count - left) * (count + 1) / 12)
    deviations: NDArray[np.float64] = np.abs(sums - expected) / spread
    return deviations
