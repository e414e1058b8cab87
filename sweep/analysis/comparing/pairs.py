"""Compares two things that are measured in turns: after how many pairs to look, and how sure each look must be.

Whoever looks at the same test again and again, and stops when it says something, is told of differences that are not
there more often than the test admits. So one looks after fixed numbers of pairs alone, and look k may be wrong with
probability alpha / (k (k + 1)), which sums to alpha over all looks there could ever be. The bound holds however long
one goes on, and whenever one stops. (Alpha spent over looks: Lan and DeMets, Biometrika 1983.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.analysis.repeats import blocks_of, log_medians, student_t
from sweep.analysis.statistics import VERDICT_LEVEL, Comparison, Ratio, RunSecs, Verdict, judge
from sweep.analysis.turns import FIRST_LOOK, GROWTH

__all__ = ["FIRST_LOOK", "PairedComparison", "compare_pairs"]

Pair = tuple[Sequence[float], Sequence[float]]
"""Seconds of a block of the first and of one of the second, taken right after each other."""


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The ratio of two things by their pairs of blocks, with its interval, verdict and number of looks."""

    found: Comparison
    """At the last look; its interval is as wide as that look needs."""
    used: int
    """Pairs up to the last look; those after it wait for the next."""
    looks: int
    wanted: int
    """Pairs for the next look; as many as were used where there is a verdict."""

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict, which no further pair changes."""
        return self.found.verdict is not Verdict.AMBIGUOUS


def compare_pairs(
    pairs: Sequence[Pair], level: float = VERDICT_LEVEL, is_enough: Callable[[Comparison], bool] | None = None
) -> PairedComparison | None:
    """Is the first of each pair faster than the second? None before the first look.

    level: how sure all looks together are. is_enough: whether to look no further, by default once there is a verdict.

    Student's interval of the mean logarithm of the ratios of medians: what hits both blocks of a pair is not in it.
    Raises ValueError for a value that is no latency.
    """
    logs = _log_ratios(pairs)
    latest = None
    for look, count in enumerate(_looks(), start=1):
        if latest is not None and (latest.is_decided if is_enough is None else is_enough(latest.found)):
            break
        if count > len(logs):
            return latest and PairedComparison(latest.found, latest.used, latest.looks, count)
        look_level = 1 - (1 - level) / (look * (look + 1))
        taken = logs[:count]
        value = math.exp(float(taken.mean()))
        reach = math.exp(student_t(look_level, count - 1) * float(taken.std(ddof=1)) / math.sqrt(count))
        latest = PairedComparison(judge(Ratio(value, value / reach, value * reach)), count, look, count)
    return latest


def _looks() -> Iterator[int]:
    count = FIRST_LOOK
    while True:
        yield count
        count = math.ceil(GROWTH * count)


def _log_ratios(pairs: Sequence[Pair]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    def logs(blocks: list[Sequence[float]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        together: RunSecs = blocks
        return log_medians(blocks_of(together)) if blocks else np.empty(0)

    return logs([first for first, _ in pairs]) - logs([second for _, second in pairs])
