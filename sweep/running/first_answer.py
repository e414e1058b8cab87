"""What waits for the first tuned answer of a run: work that would take its cores.

A schedule of each task of a network takes search, builds and the device. Where other devices own the same cores, or
untuned cells of long calls are measured on them, all of it takes three times as long, and nobody has anything sooner:
the run as a whole ends no later for having begun with one network.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from sweep.planning.kinds import place_of
from sweep.planning.stage import Plan
from sweep.planning.stage_kind import Place

__all__ = ["MOST_S", "FirstAnswer", "first_answer"]

MOST_S = 90.0
"""Of a run: a network that takes longer does not keep the others waiting."""
_SHARE = 0.25
"""The same, of the time that a run has."""


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """Of one tuner's stage."""

    stage: str
    """That stage: it times its network as soon as each of its tasks has a schedule."""
    waiting: frozenset[str]
    """Ids of the stages that wait until it has; none that is done."""
    most_s: float = MOST_S
    """They wait no longer than for so many seconds of the run."""


def first_answer(
    plan: Plan, done: Container[str], cores: Mapping[str, tuple[int, ...]], run_s: float | None = None
) -> FirstAnswer | None:
    """What waits for which stage; None where an earlier run has tuned already, or nothing would be in the way.

    cores: of this host, by the key of the device that owns them. Work on devices that share none with that of the
    first stage goes on beside it. run_s: the time that the run has; None: all.
    """
    tuning = [stage for stage in plan.stages.values() if place_of(stage) is Place.TUNER]
    if not tuning or any(stage.id in done for stage in tuning):
        return None
    stage = tuning[0].id
    tuned = next((planned for planned in plan.cells if stage in planned.stages), None)
    if tuned is None:
        return None
    own = set(cores.get(tuned.cell.device, ()))
    measured = next((one.id for one in plan.stages.values() if place_of(one) is Place.DEVICE), None)
    goes_on = {one for planned in plan.cells if measured in planned.stages for one in planned.stages}
    goes_on.update(tuned.stages)
    waiting: set[str] = set()
    for planned in plan.cells:
        if own.isdisjoint(cores.get(planned.cell.device, ())):
            goes_on.update(planned.stages)
        else:
            waiting.update(planned.stages)
    waiting = {one for one in waiting - goes_on if one not in done}
    most_s = MOST_S if run_s is None else min(MOST_S, _SHARE * run_s)
    return FirstAnswer(stage, frozenset(waiting), most_s) if waiting else None
