"""What the row of a cell says of its latency: an interval, an upper end alone, or nothing. Pure.

Most of what disturbs a measurement can only slow it down: the network takes at most what was measured then. A clock,
cores or threads other than they should be may have made it faster as well, and then the number says nothing. The slots
of a final are a measurement too: what was slowed takes at most the less of the two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from sweep.analysis.formatting import as_ms, rounded_up
from sweep.planning.results.disturbance import Disturbance, DisturbanceKind

if TYPE_CHECKING:
    from sweep.analysis.final_place import FinalPlace
    from sweep.analysis.statistics import LatencySummary

__all__ = ["AT_LEAST", "AT_MOST", "EXACT", "UPPER", "BoundedRatio", "Reading", "bound_of", "bound_of_row", "leading"]

Row = Mapping[str, Any]

EXACT, UPPER = "exact", "upper"
"""Values of `latency_bound`."""
AT_LEAST, AT_MOST = "at_least", "at_most"
"""Values of `ratio_bound` and `speedup_bound`, beside `exact`."""
_ONLY_SLOW = frozenset(
    {
        DisturbanceKind.KERNEL_SLOWED,
        DisturbanceKind.KERNEL_DRIFTED,
        DisturbanceKind.FOREIGN_THREADS,
        DisturbanceKind.OTHERS_TOOK,
        DisturbanceKind.HYPERVISOR_TOOK,
    }
)
"""Disturbances that cannot have made a number smaller."""
_BETWEEN_SENTENCES = re.compile(r"; (?!in \d+ of \d+ blocks)")


@dataclass(frozen=True, slots=True)
class BoundedRatio:
    """One latency over another: its value, or the end that is known of it."""

    value: float
    bound: str
    """`exact`, `at_least` or `at_most`."""

    @property
    def inverse(self) -> BoundedRatio:
        """The other latency over the one."""
        turned = {AT_LEAST: AT_MOST, AT_MOST: AT_LEAST}
        return BoundedRatio(1 / self.value, turned.get(self.bound, self.bound))


@dataclass(frozen=True, slots=True)
class Reading:
    """The latency of a cell lies between two ends, in milliseconds."""

    median_ms: float
    """As it was measured, disturbed or not; of what was slowed the less of that and the final's; infinite where it was
    not measured."""
    low_ms: float
    """0 where only the upper end is known."""
    high_ms: float
    """Infinite where nothing is known."""
    bound: str | None
    """`exact`, `upper`, or None where nothing is known."""

    @classmethod
    def of(cls, row: Row) -> Self:
        """Of any row. The ends are those of the median's interval; the least and the largest repeat without one."""
        bound = bound_of_row(row)
        if bound is None:
            return cls(math.inf, 0.0, math.inf, None)
        median, low, high = (row[f"latency_ms_{part}"] for part in ("median", "ci_low", "ci_high"))
        low = row["latency_ms_min"] if low is None else low
        high = row["latency_ms_max"] if high is None else high
        found = cls(float(median), float(low) if bound == EXACT else 0.0, float(high), bound)
        return found._at_most(row.get("final_ms_median"), row.get("final_ms_ci_high"))

    @classmethod
    def of_summary(cls, latency: LatencySummary | None, bound: str | None, final: FinalPlace | None = None) -> Self:
        """The same before there is a row. `latency`: in seconds. `final`: in which it took turns, if it did."""
        if latency is None or bound is None:
            return cls(math.inf, 0.0, math.inf, None)
        low = latency.min if latency.ci_low is None else latency.ci_low
        high = latency.max if latency.ci_high is None else latency.ci_high
        found = cls(latency.median * 1e3, low * 1e3 if bound == EXACT else 0.0, high * 1e3, bound)
        if final is None or final.most_s is None:
            return found
        return found._at_most(final.median_s * 1e3, final.most_s * 1e3)

    def _at_most(self, median_ms: float | None, high_ms: float | None) -> Self:
        """With what a final tells of it, where something slowed it."""
        if self.bound != UPPER or median_ms is None or high_ms is None:
            return self
        return replace(self, median_ms=min(self.median_ms, median_ms), high_ms=min(self.high_ms, high_ms))

    @property
    def is_exact(self) -> bool:
        """Whether nothing disturbed it."""
        return self.bound == EXACT

    @property
    def as_ms(self) -> str:
        """In a table, without its unit: `3.36`, `<= 17.9` where only the upper end is known, `-` where nothing is."""
        if self.bound is None:
            return "-"
        return as_ms(self.median_ms) if self.is_exact else f"<= {as_ms(rounded_up(self.high_ms))}"

    def is_below(self, other: Reading) -> bool:
        """Whether it is faster beyond doubt: all that it may be lies below all that the other may be."""
        return self.high_ms < other.low_ms

    def over(self, other: Reading) -> BoundedRatio | None:
        """This latency over the other: of the medians where both are exact, of the ends where one is; else None."""
        if self.is_exact and other.is_exact:
            return BoundedRatio(self.median_ms / other.median_ms, EXACT)
        if self.bound == UPPER and other.is_exact:
            return BoundedRatio(self.high_ms / other.low_ms, AT_MOST)
        if self.is_exact and other.bound == UPPER:
            return BoundedRatio(self.low_ms / other.high_ms, AT_LEAST)
        return None


def bound_of(status: str, disturbances: Iterable[Disturbance]) -> str | None:
    """What the latency of a measured cell is: `exact`, `upper`, or None where its number cannot be read."""
    if status == "done":
        return EXACT
    kinds = {disturbance.kind for disturbance in disturbances}
    return UPPER if status == "tainted" and kinds and kinds <= _ONLY_SLOW else None


def bound_of_row(row: Row) -> str | None:
    """The same of a row; of one from before there was the column, by the sentences that say what disturbed it."""
    if row.get("latency_ms_median", 0.0) is None:
        return None
    if "latency_bound" in row:
        bound: str | None = row["latency_bound"]
        return bound
    if row.get("output_max_abs_diff", 0.0) is None:  # nothing was compared with its outputs
        return None
    sentences = _BETWEEN_SENTENCES.split(row.get("error") or "")
    return bound_of(row["status"], [Disturbance.from_sentence(sentence) for sentence in sentences])


def leading(readings: Sequence[Reading]) -> int | None:
    """Which is to be named: the exact one of least median, unless the least upper end lies below it; None for none."""
    exact = [index for index, reading in enumerate(readings) if reading.is_exact]
    upper = [index for index, reading in enumerate(readings) if reading.bound == UPPER]
    best = min(exact, key=lambda index: readings[index].median_ms, default=None)
    least = min(upper, key=lambda index: readings[index].high_ms, default=None)
    if best is None or (least is not None and readings[least].is_below(readings[best])):
        return least
    return best
