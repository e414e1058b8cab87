"""How a cell stood in a final: its time to the fastest that may lead, with the interval. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.taint import BlockConditions, taints
from sweep.planning.results.disturbance import DisturbanceKind
from sweep.planning.results.final_result import IN_TURNS

if TYPE_CHECKING:
    from sweep.planning.results.final_result import Contender, FinalResult

__all__ = ["FinalPlace", "blocks_of_final", "places_of"]


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
    """That it took itself: one that was far behind did not go on."""
    took_s: float
    """Of the whole final."""
    median_s: float
    """Of its own slots."""
    most_s: float | None = None
    """Upper end of the 95 % interval of that median, by rounds: what disturbed the final can only have made it larger.
    None where the CPU's clock changed meanwhile, which may have made it smaller.
    """
    held: str = IN_TURNS
    """How: in turns, or side by side."""
    in_turns_because: str | None = None
    """Where the study asks for side by side."""


def places_of(final: str, result: FinalResult) -> Mapping[str, FinalPlace]:
    """The places of a final by cell; none where its rounds do not tell intervals."""
    from sweep.analysis.statistics import summarise  # numpy, which a plan need not wait for
    from sweep.analysis.turns import look_at

    timed = result.timed
    if len(timed) < 2 or not result.looks or not all(_is_whole(one) for one in timed):
        return {}
    compared, may_lead = [_compared(one) for one in timed], [one.is_compiled for one in timed]
    look = look_at(compared, may_lead, result.looks, is_last=result.is_last_look)
    places = {}
    for one, ratio in zip(timed, look.ratios, strict=True):
        if ratio.ci_low is None or ratio.ci_high is None:
            return {}
        own = summarise(blocks_of_final(one))
        most_s = None if _clock_changed(one) else own.ci_high
        places[one.cell] = FinalPlace(
            final,
            ratio.value,
            ratio.ci_low,
            ratio.ci_high,
            len(one.run_secs) // 2,
            result.took_s,
            own.median,
            most_s,
            result.held,
            result.in_turns_because,
        )
    return places


def blocks_of_final(one: Contender) -> list[list[float]]:
    """Seconds of the slots of a contender by heat; by round where it was loaded once."""
    (first, *others) = one.heats
    return [list(each) for each in ((first, *others) if others else zip(first[::2], first[1::2], strict=True))]


def _is_whole(one: Contender) -> bool:
    """Whether its slots are those of two rounds or more; with what ran beside each, where something did."""
    slots = len(one.run_secs)
    return slots == 2 * sum(one.rounds_by_heat or (slots // 2,)) > 2 and len(one.leader_secs) in (0, slots)


def _compared(one: Contender) -> Sequence[Sequence[float]]:
    """What its ratios are made of, by heat."""
    from sweep.analysis.turns import over

    return over(one.heats, one.leader_heats) if one.leader_secs else one.heats


def _clock_changed(one: Contender) -> bool:
    found = taints(BlockConditions((), (), None, one.conditions, (), 0))
    return any(each.kind == DisturbanceKind.CLOCK_CHANGED for each in found)
