"""From what was observed of a tensor to the range that its integers stand for: pure functions of a histogram.

A histogram has 2 x 2,048 bins of equal width from -m to m, where m is the greatest absolute value: folded at zero it is
one of 2,048 bins of absolute values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "PERCENTILE", "TARGET_BINS", "Observed", "kl_threshold", "mse_threshold", "percentile_threshold"]

BINS = 2048
"""Of absolute values."""
TARGET_BINS = 128
"""Levels of an absolute value in eight bits."""
PERCENTILE = 99.99

_FRACTIONS = np.arange(16, 129) / 128
_FLOOR = 1e-4
"""What a bin of no mass is given: without it, a level that an outlier alone fills has an infinite divergence."""

_Floats = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a tensor was seen to hold."""

    low: float
    high: float
    histogram: _Counts
    """Of 2 x `BINS` bins from `-greatest` to `greatest`."""

    @property
    def greatest(self) -> float:
        """The greatest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def folded(self) -> _Counts:
        """The histogram of absolute values."""
        return np.asarray(self.histogram[BINS:] + self.histogram[BINS - 1 :: -1])

    def within(self, threshold: float) -> tuple[float, float]:
        """Its range, cut at a threshold on either side."""
        low, high = (max(-threshold, min(end, threshold)) for end in (self.low, self.high))
        return low, high


def percentile_threshold(seen: Observed, percentile: float = PERCENTILE) -> float:
    """The absolute value that so many per cent of all values do not exceed, to the upper edge of its bin."""
    below = np.cumsum(seen.folded)
    if not below[-1]:
        return seen.greatest
    index = int(np.searchsorted(below, below[-1] * percentile / 100))
    return seen.greatest * min(index + 1, BINS) / BINS


def kl_threshold(seen: Observed, target_bins: int = TARGET_BINS) -> float:
    """The threshold whose values, in so many levels, diverge least from those that were seen (Kullback and Leibler).

    The values beyond a threshold count in its last bin, as saturation has them; its levels are made of those within.
    """
    counts = seen.folded.astype(np.float64)
    if not counts.any() or not seen.greatest:
        return seen.greatest
    best, threshold = np.inf, BINS
    for bins in range(target_bins, BINS + 1):
        divergence = _divergence(counts, bins, target_bins)
        if divergence < best:
            best, threshold = divergence, bins
    return seen.greatest * threshold / BINS


def _divergence(counts: _Floats, bins: int, target_bins: int) -> float:
    """Of the first bins, as they are, from the same in levels of equal width."""
    inside = counts[:bins]
    reference = inside.copy()
    reference[-1] += counts[bins:].sum()
    starts = np.arange(target_bins) * (bins // target_bins)  # the last level takes what is left over
    is_filled = reference > 0
    levelled = is_filled.astype(np.float64)
    # A zero is exact in every scale: spread over a level, those of a rectifier would decide alone
    zeros, inside, levelled[0] = inside[0], np.append(0.0, inside[1:]), 0.0
    mass, filled = np.add.reduceat(inside, starts), np.add.reduceat(levelled, starts)
    widths = np.diff(np.append(starts, bins))
    mean = np.divide(mass, filled, out=np.zeros(target_bins), where=filled > 0)
    candidate = np.repeat(mean, widths)
    candidate[0] = zeros
    wanted, made = reference[is_filled], candidate[is_filled]
    if not made.any():
        return np.inf
    wanted, made = wanted / wanted.sum(), np.maximum(made / made.sum(), _FLOOR / bins)
    return float(np.sum(wanted * np.log(wanted / made)))


def mse_threshold(seen: Observed, rounded: Callable[[float, float, _Floats], _Floats]) -> float:
    """The threshold with the least mean squared error. rounded: values as the integers of a range have them."""
    if not seen.greatest or not seen.histogram.any():
        return seen.greatest
    width = seen.greatest / BINS
    filled = np.flatnonzero(seen.histogram)
    centres, counts = np.asarray((filled - BINS + 0.5) * width, np.float64), seen.histogram[filled]
    errors = []
    for fraction in _FRACTIONS:
        low, high = seen.within(seen.greatest * fraction)
        errors.append(float(np.sum(counts * (rounded(low, high, centres) - centres) ** 2)))
    return float(seen.greatest * _FRACTIONS[int(np.argmin(errors))])
