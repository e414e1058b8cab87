"""Stages, the units of work, and the plan that they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.study.axis import DescribedValues
from sweep.study.grid import LeftOut
from sweep.study.objective import Objective
from sweep.study.spec import Cell

__all__ = ["Plan", "PlannedCell", "Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One unit of work. Two stages with the same content have the same id, and are one."""

    id: str
    kind: str
    """A name in `sweep.planning.kinds`."""
    options: Mapping[str, Any]
    """What decides the result; hashed into the id. Shared between stages: never changed in place."""
    hints: Mapping[str, Any]
    """What helps to do the work and does not change the result: paths, names; not hashed."""
    inputs: tuple[str, ...]
    """Ids of the stages whose results it takes; their kind names the role of each (`kinds.inputs_by_role`)."""
    label: str
    """For people: `tune squeezenet O3 native xgb on local-native`."""
    versions: Mapping[str, str | int] = field(default_factory=dict)
    """Of what does the work, hashed into the id: `recipe`, its revision here, and packages. Empty where a plan of an
    earlier version does not tell them."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell and the stages that it takes."""

    cell: Cell
    stages: tuple[str, ...]
    """Ids, inputs before what takes them."""
    goals: tuple[str, ...] = ()
    """Those of its stages that it takes for their own sake: it is settled when all of them are. The last of its stages
    where none is named."""
    kept: str = ""
    """Why other stages would give its answer today, where an earlier one is kept (`sweep.planning.earlier`)."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """A person's own, beside those of the study."""
    refusal: str = ""
    """Why its runtime does not take its network; it has no stages then, and no run changes anything about it."""

    def __post_init__(self) -> None:
        if not self.goals:
            object.__setattr__(self, "goals", self.stages[-1:])


@dataclass(frozen=True, slots=True)
class Plan:
    """All the work of a study."""

    study_name: str
    cells: list[PlannedCell]
    stages: dict[str, Stage]
    """By id; inputs come before what takes them, and what answers soon before what takes long."""
    naive: dict[str, int]
    """How many stages of each kind a nested loop over the cells would run."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Targets and runtimes that do not fit a device, and why."""
    baseline: str | None = None
    """The runtime that cells are compared with; None: there is none."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """A person's own, of all cells."""
    baselines: Mapping[str, str] = field(default_factory=dict)
    """Of the models that the baseline does not take: what their cells are compared with, where anything takes them."""
    objective: Objective | None = None
    """What the study wants of a cell."""
    originals: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """By model whose file was quantised from another model of the study, that one."""
    described: DescribedValues = field(default_factory=dict)
    """What the study says of values of axes by writing them."""

    @property
    def cells_with_work(self) -> int:
        """How many cells there are that their runtimes do not refuse."""
        return sum(not planned.refusal for planned in self.cells)

    def needed_by(self, planned: PlannedCell, goal: str) -> Collection[str]:
        """Ids of a goal of a cell and of all that it rests on."""
        if len(planned.goals) == 1:
            return planned.stages
        found, work = {goal}, [goal]
        while work:
            needs = set(self.stages[work.pop()].inputs) - found
            found |= needs
            work.extend(needs)
        return found
