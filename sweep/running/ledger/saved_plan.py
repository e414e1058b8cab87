"""The plan that a sweep directory keeps, for whoever has the folder and not the study."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.files.schema_ids import schema_id
from sweep.files.sweep_dir import SweepDir
from sweep.files.typed_json import WrongContent, as_type, fields_of, parsed, read_as
from sweep.planning.earlier import Earlier
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.study.axis import DescribedValues
from sweep.study.described_values import as_json, from_json
from sweep.study.grid import LeftOut
from sweep.study.objective import Objective
from sweep.study.runtimes import default_baseline
from sweep.study.spec import Cell, Study

__all__ = ["SavedSweep", "described_in", "models_in", "read_plan", "restore", "saved"]


@dataclass(frozen=True, slots=True)
class SavedSweep:
    """A study as a sweep directory keeps it: its cells, models, selection and notes."""

    study: str
    question: str
    models: Mapping[str, Mapping[str, str]]
    """By name: `source` and `sha256` of the file."""
    plan: Plan
    """Its stages have id, kind, label, inputs and versions alone: enough to say what came of them, not to do them."""
    earlier: Earlier = field(default_factory=lambda: Earlier({}, {}))
    """Cells that had an answer when the plan was written, by other stages than its own."""


def saved(study: Study, plan: Plan, earlier: Earlier | None = None) -> dict[str, Any]:
    """The content of plan.json. earlier: cells that have an answer, by other stages than the plan's maybe."""
    form = _Forms()
    content = {
        "$id": schema_id("plan", PLAN_VERSION),
        "version": PLAN_VERSION,
        "study": study.name,
        "question": study.question,
        "baseline": plan.baseline,
        "models": {model.name: {"source": model.source, "sha256": model.sha256} for model in study.models},
        "cells": [form.cell(planned) for planned in plan.cells],
        "stages": {stage.id: form.stage(stage) for stage in plan.stages.values()},
        "naive_stages": plan.naive,
        "left_out": [asdict(entry) for entry in plan.left_out],
    }
    if plan.baselines:
        content["baselines"] = dict(plan.baselines)
    if plan.originals:
        content["originals"] = dict(plan.originals)
    if plan.objective is not None:
        content["objective"] = plan.objective.to_json()
    if described := as_json(plan.described):
        content["described"] = described
    if plan.tags:
        content["tags"] = dict(plan.tags)
    now = {planned.cell.id: planned.stages for planned in plan.cells}
    others = [] if earlier is None else [one for key, one in earlier.cells.items() if now.get(key) != one.stages]
    if earlier is not None and others:
        stages = {stage_id: earlier.stages[stage_id] for one in others for stage_id in one.stages}
        content["earlier"] = {
            "cells": [form.cell(planned) for planned in others],
            "stages": {stage.id: form.stage(stage) for stage in stages.values()},
        }
    return content | {"versions": form.versions}


class _Forms:
    """Cells and stages as JSON has them; versions are written once, since most stages have the same."""

    def __init__(self) -> None:
        self.versions: list[Mapping[str, str | int]] = []

    def cell(self, planned: PlannedCell) -> dict[str, Any]:
        cell = planned.cell
        kept = {"kept": planned.kept} if planned.kept else {}
        tags = {"tags": dict(planned.tags)} if planned.tags else {}
        refusal = {"refusal": planned.refusal} if planned.refusal else {}
        own = {"id": cell.id, "name": cell.name, **cell.to_json(), "stages": list(planned.stages)}
        return own | _goals(planned) | kept | tags | refusal

    def stage(self, stage: Stage) -> dict[str, Any]:
        form = {"kind": stage.kind, "label": stage.label, "inputs": list(stage.inputs)}
        if not stage.versions:
            return form
        if stage.versions not in self.versions:
            self.versions.append(stage.versions)
        return form | {"versions": self.versions.index(stage.versions)}


def read_plan(sweep_dir: Path) -> dict[str, Any]:
    """plan.json: `study`, `cells` (id, name, axes, stages; goals where they are more than the last stage) and `stages`
    (kind, label and inputs by id).

    Raises:
        LedgerError: there is none, none that can be read, or a newer version's.
    """
    path = SweepDir(sweep_dir).plan
    try:
        plan: dict[str, Any] = as_type(dict[str, Any], parsed(path.read_bytes()))
        version = as_type(int, plan.get("version", 1), "version")
        if version <= PLAN_VERSION:
            _LEAST.of(plan)
    except (OSError, WrongContent) as error:
        raise LedgerError(f"{sweep_dir} has no readable plan.json: {error}; {_ANEW}") from error
    if version > PLAN_VERSION:
        raise LedgerError(
            f"{path}: is of format {version}, which a newer version wrote; allowed: up to {PLAN_VERSION}. "
            "Update this package, or look at the sweep where it was made"
        )
    return plan


def models_in(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a plan.json says of each model, by its name; nothing of what is no such thing, as in a damaged one."""
    models = plan.get("models")
    known = models.items() if isinstance(models, Mapping) else ()
    return {name: dict(model) for name, model in known if isinstance(model, Mapping)}


def described_in(plan: Mapping[str, Any]) -> DescribedValues:
    """What the study of a plan.json says of values by writing them; nothing in an earlier version's."""
    return from_json(plan.get("described") or {})


def restore(sweep_dir: Path) -> SavedSweep:
    """The sweep of a folder, from the folder alone.

    Raises:
        LedgerError: its plan cannot be read, or an earlier version wrote it without the names of its cells' choices.
    """
    path, saved_plan = SweepDir(sweep_dir).plan, read_plan(sweep_dir)
    if any(name not in saved_plan for name in _FORM.required) or any(
        "model" not in cell for cell in saved_plan["cells"] if isinstance(cell, dict)
    ):
        raise LedgerError(f"{path} is of an earlier version; {_ANEW}")
    try:
        return _restored(saved_plan)
    except WrongContent as error:
        raise LedgerError(f"{path}: {error}; {_ANEW}") from error


PLAN_VERSION = 1
"""Of plan.json, where it is told. It is raised where a reader of the former one would misread it, not for more keys."""
_ANEW = "the same `sweep run` again writes it anew"


@dataclass(frozen=True, slots=True)
class _SavedStage:
    kind: str
    inputs: tuple[str, ...]
    label: str
    versions: int | None = None


@dataclass(frozen=True, slots=True)
class _NamedCell:
    """What every version has written of a cell."""

    id: str
    name: str
    stages: tuple[str, ...]


_LEAST = fields_of(study=str, cells=tuple[_NamedCell, ...], stages=Mapping[str, _SavedStage])


@dataclass(frozen=True, slots=True)
class _SavedCell:
    """A cell of plan.json, for its types alone: which axes have a default is the business of `Cell`."""

    stages: tuple[str, ...]
    model: str
    target: str
    tuner: str
    opt_level: int | None
    device: str
    runtime: str
    layout: str | None = None
    precision: str | None = None
    batch: int | None = None
    goals: tuple[str, ...] = ()
    kept: str = ""
    more: Mapping[str, str | int] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""


_FORM = fields_of(
    study=str,
    question=str,
    models=dict[str, Mapping[str, str]],
    cells=list[Any],
    stages=Mapping[str, _SavedStage],
    naive_stages=dict[str, int],
    baseline=str | None,
    baselines=Mapping[str, str] | None,
    originals=Mapping[str, str] | None,
    left_out=list[Any] | None,
    versions=list[Mapping[str, str | int]] | None,
    earlier=Mapping[str, Any] | None,
    tags=Mapping[str, str] | None,
    objective=str | None,
    described=Mapping[str, Any] | None,
)
_EARLIER = fields_of(cells=list[Any], stages=Mapping[str, _SavedStage])


def _restored(saved_plan: Mapping[str, Any]) -> SavedSweep:
    """Raises WrongContent."""
    form = _FORM.of(saved_plan)
    stages, cells = _parts(form, form.get("versions", []), "")
    before = _EARLIER.of(form.get("earlier", {"cells": [], "stages": {}}), "earlier")
    former, had = _parts(before, form.get("versions", []), "earlier.")
    # Of an earlier version, which had no other runtimes than these
    usual = default_baseline([planned.cell.runtime for planned in cells])
    baseline = form.get("baseline") if "baseline" in saved_plan else usual
    left_out = [_left_out(entry) for entry in form.get("left_out", ())]
    tags, baselines = form.get("tags") or {}, form.get("baselines") or {}
    objective = Objective.from_json(form["objective"]) if form.get("objective") else None
    naive, described = form["naive_stages"], described_in(form)
    plan = Plan(form["study"], cells, stages, naive, left_out, baseline, tags, baselines, objective, described)
    plan = replace(plan, originals=form.get("originals") or {})
    earlier = Earlier({planned.cell.id: planned for planned in had}, former)
    return SavedSweep(form["study"], form["question"], form["models"], plan, earlier)


def _parts(
    form: Mapping[str, Any], versions: Sequence[Mapping[str, str | int]], where: str
) -> tuple[dict[str, Stage], list[PlannedCell]]:
    stages = {}
    for stage_id, saved_stage in form["stages"].items():
        of_stage: Mapping[str, str | int] = {}
        if (number := saved_stage.versions) is not None:
            if not 0 <= number < len(versions):
                raise WrongContent(f"`{where}stages.{stage_id}.versions` is {number}, of {len(versions)}")
            of_stage = versions[number]
        stages[stage_id] = Stage(stage_id, saved_stage.kind, {}, {}, saved_stage.inputs, saved_stage.label, of_stage)
        _check_known(saved_stage.inputs, form["stages"], f"{where}stages.{stage_id}.inputs")
    return stages, [_cell(entry, f"{where}cells[{number}]", stages) for number, entry in enumerate(form["cells"])]


def _cell(entry: Any, where: str, stages: Container[str]) -> PlannedCell:
    read = read_as(_SavedCell, entry, where)
    if not read.stages and not read.refusal:
        raise WrongContent(f"`{where}.stages` is empty")
    _check_known(read.stages, stages, f"{where}.stages")
    _check_known(read.goals, read.stages, f"{where}.goals")
    return PlannedCell(Cell.from_json(entry), read.stages, read.goals, read.kept, read.tags, read.refusal)


def _check_known(names: Sequence[str], known: Container[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise WrongContent(f"`{where}` names {name[:40]!r}, which is no stage there")


def _goals(planned: PlannedCell) -> dict[str, list[str]]:
    """Told only where they are more than the last stage, as earlier versions have it."""
    return {} if planned.goals == planned.stages[-1:] else {"goals": list(planned.goals)}


def _left_out(entry: Any) -> LeftOut:
    """What plan.json says of a choice that does not fit; earlier versions wrote how Python shows it."""
    if not isinstance(entry, str):
        return read_as(LeftOut, entry, "left_out")
    words = _SHOWN.fullmatch(entry)
    if words is None:
        return LeftOut("", "", entry)
    what, device, reason = (str(literal_eval(word)) for word in words.groups())
    return LeftOut(what, device, reason)


_TEXT = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_SHOWN = re.compile(rf"LeftOut\(what={_TEXT}, device={_TEXT}, reason={_TEXT}\)")
