"""The repeats of a measurement in their blocks, and the interval of their median. Pure numpy.

Repeats of one block share conditions that they do not show: load address, clock, other processes. So an
interval from several blocks counts blocks, not repeats: Student's interval of the mean of the logarithms of the blocks'
medians, as Kalibera and Jones (Rigorous benchmarking in reasonable time, ISMM 2013) do it for the highest level that
varies. It is never narrower than what the repeats alone would say, the percentile bootstrap of the median (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13), which is all that there is to say of a single block.

The bootstrap is seeded, so the same repeats always give the same interval. The median of a resample depends on the
ranks drawn alone, and those on the number of repeats alone: the draws are made once for each number of repeats, and a
summary then costs a fraction of a millisecond: ten thousand cells are summarised while a person waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "blocks_of", "interval_of", "log_medians", "median_draws", "middle", "student_t"]

RESAMPLES = 2000
"""Draws of a bootstrap. The end points of a 95 % interval then rest on 50 draws each."""

Block = NDArray[np.float64]
"""Seconds of the repeats that were taken in one go, in their order."""


def blocks_of(run_secs: Iterable[Any]) -> list[Block]:
    """A list of blocks from seconds in a flat list, which is one block, or in a list of lists; empty ones are left out.

    Raises ValueError for no value, or for one that is no latency: an error is never carried as a number.
    """
    items = list(run_secs)
    nested = bool(items) and all(isinstance(item, Iterable) for item in items)
    blocks = [np.asarray(block, dtype=np.float64) for block in (items if nested else [items])]
    found = [block for block in blocks if block.size]
    if not found or any(block.ndim != 1 for block in found):
        raise ValueError("a measurement has at least one repeat, in a flat list or in a list of blocks")
    if not all((np.isfinite(block) & (block > 0)).all() for block in found):
        raise ValueError("a repeat is a positive number of seconds; an error has to be recorded as an error")
    return found


def interval_of(blocks: Sequence[Block], level: float, *, seed: int = 0) -> tuple[float, float]:
    """Interval of the median of at least two repeats, in their unit, that holds it with probability `level`."""
    values = np.concatenate(blocks)
    low, high = middle(median_draws(values, seed), level)
    if len(blocks) == 1:
        return low, high
    logs = log_medians(blocks)
    reach = math.exp(student_t(level, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs)))
    median = float(np.median(values))
    return min(low, median / reach), max(high, median * reach)


def log_medians(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Logarithm of each block's median: latencies differ by factors."""
    return np.log([float(np.median(block)) for block in blocks])


def student_t(level: float, freedom: float) -> float:
    """Two-sided quantile of Student's distribution."""
    from scipy.special import stdtrit  # takes a third of a second, for which planning need not wait

    return float(stdtrit(freedom, (1 + level) / 2))


def median_draws(values: Block, seed: int) -> NDArray[np.float64]:
    """Medians of the resamples of a bootstrap."""
    ordered = np.sort(values)
    low, high = _median_ranks(len(values), seed)
    return (ordered[low] + ordered[high]) / 2


def middle(draws: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The two ends of the middle `level` of the draws of a bootstrap."""
    low, high = np.percentile(draws, (50 * (1 - level), 50 * (1 + level)))
    return float(low), float(high)


@lru_cache(maxsize=64)
def _median_ranks(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Ranks of the two middle values of each of RESAMPLES draws of `count` out of `count` with replacement."""
    draws = np.sort(np.random.default_rng((seed, count)).integers(0, count, (RESAMPLES, count)), axis=1)
    return draws[:, (count - 1) // 2], draws[:, count // 2]
