"""What the stages of a cell are called in it: its own by their kinds, those of other cells by their roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sweep.planning.kinds import inputs_by_role
from sweep.planning.stage import PlannedCell, Stage

__all__ = ["names_in_cell"]


def names_in_cell(planned: PlannedCell, stages: Mapping[str, Stage]) -> dict[str, str]:
    """What each stage of a cell is called in it, by its id, and in the order of its stages: its kind.

    Of several of a kind that is what the cell's own is called. A further one goes by its role for the stage that takes
    it, or by the role and the taker's name where the role is taken; one that nothing takes is numbered.
    """
    kinds = {stage_id: stages[stage_id].kind for stage_id in planned.stages}
    if len(set(kinds.values())) == len(kinds):
        return kinds
    own = _own(planned, stages)
    names: dict[str, str] = {}
    further: Counter[str] = Counter()
    for stage_id in reversed(planned.stages):
        kind = kinds[stage_id]
        further[kind] += stage_id != own[kind]
        names[stage_id] = kind if stage_id == own[kind] else f"{kind} {further[kind] + 1}"
    names = {stage_id: names[stage_id] for stage_id in planned.stages}
    taken = set(own)
    for taker in reversed(planned.stages):  # what takes a stage comes behind it, and so has its name
        for role, stage_id in inputs_by_role(stages[taker], stages).items():
            if names[stage_id] not in taken:
                names[stage_id] = role if role not in taken else f"{role} of {names[taker]}"
                taken.add(names[stage_id])
    return names


def _own(planned: PlannedCell, stages: Mapping[str, Stage]) -> dict[str, str]:
    """By kind, the cell's own stage: a goal, or what is nearest to the goals. What a stage of another cell rests on is
    behind that one, wherever a plan lists it: plans of earlier versions have own stages before others and behind them.
    """
    own = {stages[goal].kind: goal for goal in planned.goals}
    nearest = list(planned.goals)
    while nearest:
        further: list[str] = []
        for taker in nearest:
            needs = inputs_by_role(stages[taker], stages)
            for _, need in sorted(needs.items(), key=lambda one: one[0] != stages[one[1]].kind):
                if stages[need].kind not in own:
                    own[stages[need].kind] = need
                    further.append(need)
        nearest = further
    for stage_id in reversed(planned.stages):  # of kinds that only other cells' stages rest on
        own.setdefault(stages[stage_id].kind, stage_id)
    return own
