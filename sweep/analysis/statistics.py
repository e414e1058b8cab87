"""Summarises repeats of one latency and compares two: interval, ratio, verdict. Pure numpy; knows no cells.

Seconds come as one flat list, or as a list of blocks, each taken in one go (`sweep.analysis.repeats`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sweep.analysis.repeats import Block, blocks_of, interval_of, log_medians, median_draws, middle, student_t

__all__ = [
    "SAME_WITHIN",
    "VERDICT_LEVEL",
    "Comparison",
    "LatencySummary",
    "Ratio",
    "RunSecs",
    "Verdict",
    "compare",
    "interval_of_another_block",
    "judge",
    "ratio",
    "relative_interval",
    "summarise",
    "why_unstable",
]

LEVEL = 0.95
"""How sure the interval of a latency is."""
VERDICT_LEVEL = 0.99
"""How sure the interval of a ratio is. Cells are compared by the dozen: at 95 %, one of twenty equal pairs would be
called FASTER or SLOWER."""
STABLE_HALF_WIDTH = 0.05
"""A measurement is stable when half its interval is less than this share of its median."""
STABLE_REPEATS = 6
"""Fewest repeats of a stable measurement: min..max covers the median with probability 1 - 2**(1 - n), 97 % at 6."""
P90_REPEATS, P99_REPEATS = 10, 100
"""Fewest repeats for which a percentile is more than the largest value under another name."""
FEWEST_BLOCKS = 3
"""Of two blocks the spread is known to a factor of 64 at 99 %."""
SAME_WITHIN = 0.02
"""Two latencies are the same when their ratio's interval lies within this of 1: less does not change what one ships."""

RunSecs = Sequence[float] | Sequence[Sequence[float]]
"""Seconds of repeats: of one block, or of several."""


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
    """Of the repeats, each of which is a mean over calls; None under 10 repeats."""
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
    """Median of one sample over the median of another, with its 99 % interval.

    An end is None where it is not known: neither is where a sample has one repeat, one where a sample is but a bound.
    """

    value: float
    ci_low: float | None
    ci_high: float | None


class Verdict(StrEnum):
    """The verdict that an interval allows on the first sample against the second."""

    FASTER = "FASTER"
    SLOWER = "SLOWER"
    SAME = "SAME"
    AMBIGUOUS = "AMBIGUOUS"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio of latencies (below 1: the first is faster) and what may be said of it."""

    ratio: Ratio
    verdict: Verdict


def summarise(run_secs: RunSecs, *, seed: int = 0) -> LatencySummary:
    """Summary of the repeats of one measurement.

    run_secs: n >= 1 values in seconds, each positive and finite.
    Raises ValueError for none, or for a value that is no latency: an error is never carried as a number.
    """
    blocks = blocks_of(run_secs)
    values = np.concatenate(blocks)
    count = len(values)
    median = float(np.median(values))
    ci_low, ci_high = interval_of(blocks, LEVEL, seed=seed) if count > 1 else (None, None)
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


def why_unstable(repeats: int) -> str:
    """What a measurement that is not stable lacks: repeats, or where there are enough, agreement among them."""
    return "few repeats" if repeats < STABLE_REPEATS else "wide interval"


def relative_interval(run_secs: RunSecs, *, seed: int = 0) -> float | None:
    """Full width of the 95 % interval of the median, over the median; None for a single repeat.

    What sampling goes on to narrow; tables show half of it as ±. Raises ValueError as `summarise` does.
    """
    blocks = blocks_of(run_secs)
    values = np.concatenate(blocks)
    if len(values) < 2:
        return None
    ci_low, ci_high = interval_of(blocks, LEVEL, seed=seed)
    return (ci_high - ci_low) / float(np.median(values))


def interval_of_another_block(run_secs: RunSecs, *, level: float = VERDICT_LEVEL) -> tuple[float, float] | None:
    """Where the median of one more block will lie, with probability `level`, in the unit of the repeats. None for fewer
    than three blocks, whose spread nobody knows.

    The interval of the median of all blocks narrows with their number, and one block more has a level of its own
    (process, load address, pages): Student's prediction interval of the logarithms of the blocks' medians (Hahn and
    Meeker, Statistical Intervals, 1991). Raises ValueError as `summarise` does.
    """
    logs = log_medians(blocks_of(run_secs))
    if len(logs) < FEWEST_BLOCKS:
        return None
    reach = student_t(level, len(logs) - 1) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
    centre, reach = float(logs.mean()), min(reach, _UNKNOWN)
    return math.exp(centre - reach), math.exp(centre + reach)


def ratio(numerator: RunSecs, denominator: RunSecs, *, level: float = VERDICT_LEVEL, seed: int = 0) -> Ratio:
    """Median of `numerator` over median of `denominator`, both n >= 1 values in seconds, taken independently.

    The interval is Welch's for the mean logarithms of the blocks' medians, and no narrower than the bootstrap of the
    repeats. A single block counts as a few consecutive parts (batch means): repeats that follow each other are alike.
    Raises ValueError as `summarise` does.
    """
    above, below = blocks_of(numerator), blocks_of(denominator)
    all_above, all_below = np.concatenate(above), np.concatenate(below)
    value = float(np.median(all_above) / np.median(all_below))
    if len(all_above) < 2 or len(all_below) < 2:
        return Ratio(value, None, None)
    # A second seed: with one, samples of equal length would be resampled in step, and the interval come out too narrow.
    low, high = middle(median_draws(all_above, seed) / median_draws(all_below, seed + 1), level)
    reach = _welch(_parts(above), _parts(below), level)
    return Ratio(value, min(low, value / reach), max(high, value * reach))


def compare(first: RunSecs, second: RunSecs, *, same_within: float = SAME_WITHIN, seed: int = 0) -> Comparison:
    """Is `first` faster than `second`?

    SAME when the whole interval is within `same_within` of 1, FASTER or SLOWER when it does not hold 1, else AMBIGUOUS;
    AMBIGUOUS too where there is no interval.
    """
    return judge(ratio(first, second, seed=seed), same_within)


def judge(found: Ratio, same_within: float = SAME_WITHIN) -> Comparison:
    """What a ratio's interval allows to be said."""
    low, high = found.ci_low, found.ci_high
    verdict = Verdict.AMBIGUOUS
    if low is not None and high is not None and 1 / (1 + same_within) <= low and high <= 1 + same_within:
        verdict = Verdict.SAME
    elif high is not None and high < 1:
        verdict = Verdict.FASTER
    elif low is not None and low > 1:
        verdict = Verdict.SLOWER
    return Comparison(found, verdict)


def _parts(blocks: Sequence[Block]) -> list[Block]:
    """What counts as one value: a block; of a single one, as many parts as each has repeats, at least two."""
    if len(blocks) > 1:
        return list(blocks)
    (block,) = blocks
    return np.array_split(block, max(2, math.isqrt(len(block))))


def _welch(above: Sequence[Block], below: Sequence[Block], level: float) -> float:
    """The factor by which a ratio may be wrong, for the spread of the parts' medians on either side."""
    sides = [log_medians(above), log_medians(below)]
    shares = [float(side.var(ddof=1)) / len(side) for side in sides]
    variance = sum(shares)
    if variance == 0:
        return 1.0
    freedom = variance**2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True))
    return math.exp(min(student_t(level, freedom) * math.sqrt(variance), _UNKNOWN))


_UNKNOWN = 50.0
"""Logarithm of a factor that says nothing, and can still be calculated with."""
