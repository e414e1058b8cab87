"""Stages, the units of work, and the plan that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.study.grid import LeftOut
from sweep.study.spec import Cell

__all__ = ["KINDS", "Plan", "PlannedCell", "Stage"]

KINDS = ("import", "lower", "tune", "build", "measure")
"""In the order in which a cell needs them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One unit of work. Two stages with the same content have the same id, and are one."""

    id: str
    kind: str
    options: Mapping[str, Any]
    """What decides the result; hashed into the id. Shared between stages: never changed in place."""
    hints: Mapping[str, Any]
    """What helps to do the work and does not change the result: paths, names; not hashed."""
    inputs: tuple[str, ...]
    """Ids of the stages whose results it takes."""
    label: str
    """For people: `tune squeezenet O3 native xgb on local-native`."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell and the stages that it takes."""

    cell: Cell
    stages: tuple[str, ...]
    """Ids, in order; the last is its measure stage."""


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
