"""What makes a kind of stage: a row of the table in `sweep.planning.kinds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from sweep import errors
from sweep.errors import PlanError, SweepError
from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.study.spec import Cell

__all__ = ["Place", "StageKind"]


class Place(StrEnum):
    """Where attempts are performed, and what they hold meanwhile."""

    COMPILE = "compile"
    """In a killable child of a compile pool; all such stages share the cores given to compilation."""
    TUNER = "tuner"
    """In a tuner's process. Its stages, a pool, hold one slot together; its records have one writer, the tuner."""
    DEVICE = "device"
    """On the device that the option `device` names; each holds one of its turns."""


def _one(stage: Stage) -> float:
    return 1.0


def _nothing(stage: Stage) -> float:
    return 0.0


def job_arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """What a job is given unless its kind says otherwise, beside `out_dir`: options, hints, the inputs' results as
    JSON by role, and the sweep directory, which folders in results are relative to.
    """
    results = {role: result.to_json() for role, result in inputs.items()}
    return {"options": stage.options, "hints": stage.hints, "inputs": results, "sweep_dir": str(sweep_dir)}


@dataclass(frozen=True, slots=True)
class StageKind:
    """A kind of stage. Raises PlanError where its parts do not fit."""

    name: str
    inputs: Mapping[str, str]
    """Kind of each input by its role, in the order in which a stage's id lists them. A stage may lack some."""
    place: Place
    result: type[StageResult]
    draft: Callable[[Drafting, Cell, Mapping[str, str]], Draft | None] | None
    """The stage that a cell takes; None where it takes none, or, for the kind, where no cell ever does. It is given the
    ids of the cell's stages so far, by kind: of the kinds that come before this one."""
    error_class: str
    """Class of the error tree of what is no other error: a crash, a time limit, a bug."""
    revision: int = 1
    """Raised by one when this program changes what the stage does: older results are then not taken for new ones."""
    distributions: tuple[str, ...] = ()
    """Packages whose versions the result depends on."""
    cost_s: float = 1.0
    """Seconds for one unit of it, roughly, for networks between SqueezeNet and ResNet-50 on two cores. Replaced by what
    the ledger measured wherever it has one of the kind."""
    units: Callable[[Stage], float] = _one
    fixed_s: Callable[[Stage], float] = _nothing
    """Seconds on top of that, which what a stage costs here tells nothing of."""
    limit_s: float | None = None
    """How long an attempt may take; None: as its options say."""
    job: str = ""
    """What performs it: `module:function`. One that is compiled has a function of JSON-able keyword arguments and
    result; one on a device has a function of the attempt and the device's worker, or none: it is a measurement."""
    arguments: Callable[[Stage, Mapping[str, StageResult], Path], Mapping[str, Any]] = job_arguments
    """What the job is given, beside `out_dir`, the folder that it makes."""
    is_goal: bool = False
    """Whether a cell takes it for its own sake: the cell is settled when all its goals are."""
    leaves: str = ""
    """What people call the files that it leaves (`library`); empty where nobody looks at them."""
    completed: Callable[[Sequence[Stage]], Sequence[Stage]] | None = None
    """Given all its stages of a plan, the same ones with hints that only the whole plan tells."""
    roles_of: Mapping[str, tuple[str, ...]] = field(init=False)
    """Roles by the kind that they take."""

    def __post_init__(self) -> None:
        roles: dict[str, tuple[str, ...]] = {}
        for role, kind in self.inputs.items():
            roles[kind] = (*roles.get(kind, ()), role)
        object.__setattr__(self, "roles_of", roles)
        error = getattr(errors, self.error_class, None)
        if not (isinstance(error, type) and issubclass(error, SweepError)):
            raise PlanError(f"stage kind {self.name}: {self.error_class} is no error class of sweep.errors")
        if self.place is Place.COMPILE and (":" not in self.job or self.limit_s is None):
            raise PlanError(f"stage kind {self.name}: one that is compiled has a job, module:function, and a limit_s")
