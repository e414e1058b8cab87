"""What a sweep directory has of a study that an earlier version, or another TVM, did: what of it would be done again
and why; and a plan that goes on with it. Pure: of plans, and of the ids of stages that are done.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweep.planning.fingerprint import canonical_json
from sweep.planning.kinds import STAGE_KINDS, kind_of
from sweep.planning.sharing.names_in_cell import names_in_cell
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.planning.stage_id import id_of
from sweep.planning.stages.quantise import ROLE as QUANTISED_ROLE

__all__ = ["Earlier", "Redone", "earlier_of", "redone", "with_kept"]


@dataclass(frozen=True, slots=True)
class Earlier:
    """Cells that have an answer, by id, with the stages that gave it."""

    cells: Mapping[str, PlannedCell]
    stages: Mapping[str, Stage]


@dataclass(frozen=True, slots=True)
class Redone:
    """Stages of a kind that are done, and that a run would do again."""

    kind: str
    stages: int
    cells: int
    reasons: tuple[str, ...]
    """What is another now: `recipe 5 -> 6`, `apache-tvm 0.26.0 -> 0.27.0`."""

    def __str__(self) -> str:
        """A line for people."""
        counted = f"{self.stages:,} {self.kind} stage{'' if self.stages == 1 else 's'}"
        return f"{counted} of {self.cells:,} cell{'' if self.cells == 1 else 's'}: {', '.join(self.reasons)}"


def earlier_of(plan: Plan, before: Earlier | None, done: Container[str]) -> Earlier:
    """The cells of a plan that have an answer by now, and of those that have none what they had `before`."""
    answered = {planned.cell.id: planned for planned in plan.cells if all(goal in done for goal in planned.goals)}
    if before is None:
        cells: Mapping[str, PlannedCell] = answered
        stages: Mapping[str, Stage] = plan.stages
    else:
        cells, stages = {**before.cells, **answered}, {**before.stages, **plan.stages}
    needed = {stage_id for planned in cells.values() for stage_id in planned.stages}
    return Earlier(cells, {stage_id: stage for stage_id, stage in stages.items() if stage_id in needed})


def redone(plan: Plan, earlier: Earlier, done: Container[str], versions: Mapping[str, str]) -> list[Redone]:
    """What a run of a plan would do again of what cells have an answer by, by kind.

    versions: of packages, as the earlier run noted them: they tell what a version used that wrote down none.
    """
    again: dict[str, set[str]] = {}
    cells: dict[str, set[str]] = {}
    reasons: dict[str, dict[str, None]] = {}
    for planned in plan.cells:
        for kind, now, was in _changed(planned, plan, earlier, done):
            if was.id not in again.setdefault(kind, set()):
                again[kind].add(was.id)
                reasons.setdefault(kind, {}).update(dict.fromkeys(_why(now, was, versions, plan)))
            cells.setdefault(kind, set()).add(planned.cell.id)
    return [
        Redone(kind, len(again[kind]), len(cells[kind]), tuple(reasons[kind]) or ("what the study says of it",))
        for kind in STAGE_KINDS.names()
        if kind in again
    ]


def with_kept(plan: Plan, earlier: Earlier, done: Container[str], versions: Mapping[str, str]) -> Plan:
    """The plan, with the stages that gave an earlier answer in place of those that would give it anew."""
    cells, stages = [], {}
    for planned in plan.cells:
        changed = list(_changed(planned, plan, earlier, done))
        if not changed:
            cells.append(planned)
            continue
        kept = earlier.cells[planned.cell.id]
        why = [f"{kind}: {reason}" for kind, now, was in changed for reason in _why(now, was, versions, plan)]
        reason = "; ".join(dict.fromkeys(why)) or "what the study says is another"
        cells.append(replace(kept, kept=reason, tags=planned.tags))
        stages.update({stage_id: earlier.stages[stage_id] for stage_id in kept.stages})
    needed = {stage_id for planned in cells for stage_id in planned.stages}
    all_stages = {**stages, **plan.stages}
    return replace(
        plan, cells=cells, stages={stage_id: stage for stage_id, stage in all_stages.items() if stage_id in needed}
    )


def _changed(
    planned: PlannedCell, plan: Plan, earlier: Earlier, done: Container[str]
) -> Iterator[tuple[str, Stage, Stage]]:
    """Of a cell that has an answer and would be done again: the stages that are others now, with what they were."""
    former = earlier.cells.get(planned.cell.id)
    if former is None or all(goal in done for goal in planned.goals):
        return
    if not all(goal in done for goal in former.goals):
        return
    named = {name: stage_id for stage_id, name in names_in_cell(planned, plan.stages).items()}
    for stage_id, name in names_in_cell(former, earlier.stages).items():
        now = named.get(name)
        if now is not None and now != stage_id and now not in done and stage_id in done:
            yield plan.stages[now].kind, plan.stages[now], earlier.stages[stage_id]


def _why(now: Stage, was: Stage, packages: Mapping[str, str], plan: Plan) -> list[str]:
    """What of its versions is another; else that what it is made from is."""
    before = was.versions or _guessed(now, was, packages)
    if before is None:
        return ["an earlier version did it, or the study said otherwise"]
    changed = [
        f"{_NAMES.get(name, name)} {before.get(name, 'none')} -> {version}"
        for name, version in now.versions.items()
        if before.get(name) != version
    ]
    if changed:
        return changed
    if now.inputs == was.inputs:
        return []
    taken = {plan.stages[need].kind for need in now.inputs}
    # Of what seldom is among the inputs, only where it is
    kinds = [kind for kind in kind_of(now).inputs.values() if kind in taken or kind != QUANTISED_ROLE]
    return ["made from another " + " and ".join(sorted(kinds))]


_NAMES = {"source": "its loader's file"}


def _guessed(now: Stage, was: Stage, packages: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The versions of a stage of a plan that names none: those that give the stage as it is now the id that it had."""
    options = canonical_json(now.options)
    for recipe in range(kind_of(now).revision, 0, -1):
        of_packages = {name: packages.get(name, version) for name, version in now.versions.items() if name != "recipe"}
        for versions in ({"recipe": recipe, **of_packages}, {**now.versions, "recipe": recipe}):
            if id_of(now.kind, options, was.inputs, canonical_json(versions)) == was.id:
                return versions
    return None
