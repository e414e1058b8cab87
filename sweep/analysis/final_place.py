"""How a cell stood in a final: its time to the fastest that may lead, with the interval. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.planning.results.final_result import FinalResult

__all__ = ["FinalPlace", "places_of"]


@dataclass(frozen=True, slots=True)
class FinalPlace:
    """One cell in the final of its model and device."""

    final: str
    """Id of the stage."""
    ratio: float
    """Its time over the leader's; 1 for the leader itself."""
    ci_low: float
    """Ends of its 99 % interval, which holds however often it was looked at."""
    ci_high: float
    rounds: int
    took_s: float
    """Of the whole final."""
    median_s: float
    """Of its own slots."""


def places_of(final: str, result: FinalResult) -> Mapping[str, FinalPlace]:
    """The places of a final by cell; none where its rounds do not tell intervals."""
    from sweep.analysis.turns import look_at  # numpy, which a plan need not wait for

    timed = result.timed
    if len(timed) < 2 or result.rounds < 2 or not result.looks:
        return {}
    slots = 2 * result.rounds
    look = look_at([one.run_secs[:slots] for one in timed], [one.is_compiled for one in timed], result.looks)
    places = {}
    for one, ratio in zip(timed, look.ratios, strict=True):
        if ratio.ci_low is None or ratio.ci_high is None:
            return {}
        places[one.cell] = FinalPlace(
            final, ratio.value, ratio.ci_low, ratio.ci_high, result.rounds, result.took_s, median(one.run_secs)
        )
    return places
