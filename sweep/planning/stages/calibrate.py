"""The calibration of a network: what its tensors hold on samples, observed once for every way to quantise it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.study.spec import Cell

__all__ = ["arguments", "draft", "samples_of"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell that computes in a quantised network takes one; of all precisions the same."""
    if not study.is_quantised(cell):
        return None
    imported = made["import"]
    return study.once(("calibrate", imported), lambda: _drafted(study, cell, imported))


def _drafted(study: Drafting, cell: Cell, imported: str) -> Draft:
    own, hints = samples_of(study, cell)
    return Draft(study.options("calibrate", cell, own), {"import": imported}, f"calibrate {study.network(cell)}", hints)


def samples_of(study: Drafting, cell: Cell) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and hints of a stage that runs a network over the samples of its calibration."""
    model = study.models[cell.model]
    own = {**study.study.calibration.options, "seed": study.study.seed}
    if model.given:
        own["values"] = {name: dict(one.values) for name, one in model.given.items()}
    files = {name: str(one.file) for name, one in model.given.items() if one.file is not None}
    return own, {"input_files": files} if files else {}


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    imported = input_of(inputs, "import", ImportResult)
    return {"options": stage.options, "hints": stage.hints, "import_dir": str(sweep_dir / imported.folder())}
