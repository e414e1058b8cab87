"""What a handful of repeats says about a latency: summary, interval, ratio, verdict. Pure numpy; knows no cells.

Intervals are 95 % percentile bootstraps of the median (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
ch. 13), seeded, so the same repeats always give the same interval. The median of a resample depends on the ranks drawn
alone, and those on the number of repeats alone: the draws are made once for each number of repeats, and a summary then
costs a fraction of a millisecond, which is what lets ten thousand cells be summarised while a person waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "LatencySummary", "Ratio", "Verdict", "compare", "ratio", "relative_interval", "summarise"]

RESAMPLES = 2000
"""Draws of a bootstrap. The end points of a 95 % interval then rest on 50 draws each."""
STABLE_HALF_WIDTH = 0.05
"""A measurement is stable when half its interval is less than this share of its median."""
STABLE_REPEATS = 6
"""Fewest repeats of a stable measurement: min..max covers the median with probability 1 - 2**(1 - n), 97 % at 6."""
P90_REPEATS, P99_REPEATS = 10, 100
"""Fewest repeats for which a percentile is more than the largest value under another name."""
SAME_WITHIN = 0.02
"""Two latencies are the same when their ratio's interval lies within this of 1: less does not change what one ships."""


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Repeats of one measurement, summarised. Everything in the unit of the repeats (seconds)."""

    mean: float
    median: float
    min: float
    max: float
    std: float | None
    """Sample deviation (ddof 1); None for a single repeat."""
    p90: float | None
    """None under 10 repeats."""
    p99: float | None
    """None under 100 repeats."""
    ci_low: float | None
    """Lower end of the 95 % interval of the median; None for a single repeat."""
    ci_high: float | None
    repeats: int
    is_stable: bool
    """At least 6 repeats and half the interval under 5 % of the median."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of one sample over the median of another, with its 95 % interval (None where a sample has one repeat)."""

    value: float
    ci_low: float | None
    ci_high: float | None


class Verdict(StrEnum):
    """What an interval allows to be said of the first sample against the second."""

    FASTER = "FASTER"
    SLOWER = "SLOWER"
    SAME = "SAME"
    AMBIGUOUS = "AMBIGUOUS"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio of latencies (below 1: the first is faster) and what may be said of it."""

    ratio: Ratio
    verdict: Verdict


def summarise(run_secs: Sequence[float], *, seed: int = 0) -> LatencySummary:
    """Summary of the repeats of one measurement.

    run_secs: n >= 1 values in seconds, each positive and finite.
    Raises ValueError for none, or for a value that is no latency: an error is never carried as a number.
    """
    values = _latencies(run_secs)
    count = len(values)
    median = float(np.median(values))
    ci_low, ci_high = _interval(_median_draws(values, seed)) if count > 1 else (None, None)
    half_width = None if ci_low is None or ci_high is None else (ci_high - ci_low) / 2
    return LatencySummary(
        # Summation rounds: the mean of equal values may leave their range by one unit in the last place.
        mean=float(np.clip(values.mean(), values.min(), values.max())),
        median=median,
        min=float(values.min()),
        max=float(values.max()),
        std=float(values.std(ddof=1)) if count > 1 else None,
        p90=float(np.percentile(values, 90)) if count >= P90_REPEATS else None,
        p99=float(np.percentile(values, 99)) if count >= P99_REPEATS else None,
        ci_low=ci_low,
        ci_high=ci_high,
        repeats=count,
        is_stable=count >= STABLE_REPEATS and half_width is not None and half_width < STABLE_HALF_WIDTH * median,
    )


def relative_interval(run_secs: Sequence[float], *, seed: int = 0) -> float | None:
    """Full width of the 95 % interval of the median, over the median; None for a single repeat.

    What sampling goes on to narrow; tables show half of it as ±. Raises ValueError as `summarise` does.
    """
    values = _latencies(run_secs)
    if len(values) < 2:
        return None
    ci_low, ci_high = _interval(_median_draws(values, seed))
    return (ci_high - ci_low) / float(np.median(values))


def ratio(numerator: Sequence[float], denominator: Sequence[float], *, seed: int = 0) -> Ratio:
    """Median of `numerator` over median of `denominator`, both n >= 1 values in seconds, drawn independently.

    Raises ValueError as `summarise` does.
    """
    above, below = _latencies(numerator), _latencies(denominator)
    value = float(np.median(above) / np.median(below))
    if len(above) < 2 or len(below) < 2:
        return Ratio(value, None, None)
    # A second seed: with one, samples of equal length would be resampled in step, and the interval come out too narrow.
    ci_low, ci_high = _interval(_median_draws(above, seed) / _median_draws(below, seed + 1))
    return Ratio(value, ci_low, ci_high)


def compare(
    first: Sequence[float], second: Sequence[float], *, same_within: float = SAME_WITHIN, seed: int = 0
) -> Comparison:
    """Is `first` faster than `second`?

    SAME when the whole interval is within `same_within` of 1, FASTER or SLOWER when it does not hold 1, else AMBIGUOUS;
    AMBIGUOUS too where there is no interval.
    """
    found = ratio(first, second, seed=seed)
    return Comparison(found, _verdict(found, same_within))


def _verdict(found: Ratio, same_within: float) -> Verdict:
    if found.ci_low is None or found.ci_high is None:
        return Verdict.AMBIGUOUS
    if 1 / (1 + same_within) <= found.ci_low and found.ci_high <= 1 + same_within:
        return Verdict.SAME
    if found.ci_high < 1:
        return Verdict.FASTER
    return Verdict.SLOWER if found.ci_low > 1 else Verdict.AMBIGUOUS


def _latencies(run_secs: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(run_secs, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"a measurement has a flat list of at least one repeat, not shape {values.shape}")
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("a repeat is a positive number of seconds; an error has to be recorded as an error")
    return values


@lru_cache(maxsize=64)
def _median_ranks(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Ranks of the two middle values of each of RESAMPLES draws of `count` out of `count` with replacement."""
    draws = np.sort(np.random.default_rng((seed, count)).integers(0, count, (RESAMPLES, count)), axis=1)
    return draws[:, (count - 1) // 2], draws[:, count // 2]


def _median_draws(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    ordered = np.sort(values)
    low, high = _median_ranks(len(values), seed)
    return (ordered[low] + ordered[high]) / 2


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)
