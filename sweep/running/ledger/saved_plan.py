"""The plan that a sweep directory keeps, for whoever has the folder and not the study."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.files.sweep_dir import SweepDir
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.study.grid import LeftOut
from sweep.study.runtimes import default_baseline
from sweep.study.spec import Cell, Study

__all__ = ["SavedSweep", "read_plan", "restore", "saved"]


@dataclass(frozen=True, slots=True)
class SavedSweep:
    """A study as a sweep directory keeps it: its cells, models, selection and notes."""

    study: str
    question: str
    models: Mapping[str, Mapping[str, str]]
    """By name: `source` and `sha256` of the file."""
    plan: Plan
    """Its stages have id, kind, label and inputs alone: enough to say what came of them, not to perform them."""


def saved(study: Study, plan: Plan) -> dict[str, Any]:
    """The content of plan.json."""
    return {
        "study": study.name,
        "question": study.question,
        "baseline": plan.baseline,
        "models": {model.name: {"source": model.source, "sha256": model.sha256} for model in study.models},
        "cells": [
            {"id": c.cell.id, "name": c.cell.name, **c.cell.to_json(), "stages": list(c.stages), **_goals(c)}
            for c in plan.cells
        ],
        "stages": {s.id: {"kind": s.kind, "label": s.label, "inputs": list(s.inputs)} for s in plan.stages.values()},
        "naive_stages": plan.naive,
        "left_out": [asdict(entry) for entry in plan.left_out],
    }


def read_plan(sweep_dir: Path) -> dict[str, Any]:
    """plan.json: `study`, `cells` (id, name, axes, stages; goals where they are more than the last stage) and `stages`
    (kind, label and inputs by id).

    Raises:
        LedgerError: there is none, or none that can be read.
    """
    try:
        plan: dict[str, Any] = json.loads(SweepDir(sweep_dir).plan.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(f"{sweep_dir} has no readable plan.json: {error}") from error
    return plan


def restore(sweep_dir: Path) -> SavedSweep:
    """The sweep of a folder, from the folder alone.

    Raises:
        LedgerError: its plan cannot be read, or an earlier version wrote it without the names of its cells' choices.
    """
    saved_plan = read_plan(sweep_dir)
    try:
        cells = [
            PlannedCell(Cell.from_json(cell), tuple(cell["stages"]), tuple(cell.get("goals", ())))
            for cell in saved_plan["cells"]
        ]
        stages = {
            stage_id: Stage(stage_id, stage["kind"], {}, {}, tuple(stage["inputs"]), stage["label"])
            for stage_id, stage in saved_plan["stages"].items()
        }
        # Of an earlier version, which had no other runtimes than these
        usual = default_baseline([planned.cell.runtime for planned in cells])
        baseline = saved_plan.get("baseline", usual)
        left_out = [_left_out(entry) for entry in saved_plan.get("left_out", ())]
        plan = Plan(saved_plan["study"], cells, stages, saved_plan["naive_stages"], left_out, baseline)
        return SavedSweep(saved_plan["study"], saved_plan["question"], saved_plan["models"], plan)
    except (KeyError, TypeError) as error:
        raise LedgerError(
            f"{SweepDir(sweep_dir).plan} is of an earlier version; the same `sweep run` again writes it anew"
        ) from error


def _goals(planned: PlannedCell) -> dict[str, list[str]]:
    """Told only where they are more than the last stage, as earlier versions have it."""
    return {} if planned.goals == planned.stages[-1:] else {"goals": list(planned.goals)}


def _left_out(entry: Mapping[str, str] | str) -> LeftOut:
    """What plan.json says of a choice that does not fit; earlier versions wrote how Python shows it."""
    if not isinstance(entry, str):
        return LeftOut(entry["what"], entry["device"], entry["reason"])
    words = _SHOWN.fullmatch(entry)
    if words is None:
        return LeftOut("", "", entry)
    what, device, reason = (str(literal_eval(word)) for word in words.groups())
    return LeftOut(what, device, reason)


_TEXT = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_SHOWN = re.compile(rf"LeftOut\(what={_TEXT}, device={_TEXT}, reason={_TEXT}\)")
