"""The calibration of a network: what its tensors hold on samples, observed once for every way to quantise it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import ONNX_PACKAGES, Draft, Drafting
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.study.spec import Cell, Model

__all__ = ["CLASSES", "arguments", "draft", "packages_of", "samples_of"]

CLASSES = "calibrate_classes"
"""The option of a precision that is calibrated on some classes of a data set alone."""


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell that computes in a quantised network takes one; of all precisions that are calibrated alike the same."""
    if not study.is_quantised(cell):
        return None
    imported = made["import"]
    key = ("calibrate", imported, *study.precision(cell).options.get(CLASSES, ()))
    return study.once(key, lambda: _drafted(study, cell, imported))


def _drafted(study: Drafting, cell: Cell, imported: str) -> Draft:
    about = {"network": _network(study.models[cell.model])}
    if (table := study.study.calibration.table_of(cell.model)) is not None:
        options = study.options("calibrate", cell, {"table": table.sha256})
        label, hints = f"calibrate {study.network(cell)} by a saved table", {"table": str(table.ranges), **about}
        return Draft(options, {"import": imported}, label, hints, ONNX_PACKAGES)
    own, hints = samples_of(study, cell)
    on = f" on classes {', '.join(map(str, own[CLASSES]))}" if CLASSES in own else ""
    options, label = study.options("calibrate", cell, own), f"calibrate {study.network(cell)}{on}"
    return Draft(options, {"import": imported}, label, {**hints, **about}, packages_of(study))


def _network(model: Model) -> dict[str, str]:
    """What a table says that it is of: the hash where it is of the network's own files, and of nothing else."""
    return {"name": model.name, **({"sha256": model.sha256} if model.is_hashed else {})}


def samples_of(study: Drafting, cell: Cell) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and hints of a stage that runs a network over the samples of its calibration, or others like them."""
    model = study.models[cell.model]
    calibration = study.study.calibration
    own = {**calibration.options, "seed": study.study.seed}
    if classes := study.precision(cell).options.get(CLASSES):
        own[CLASSES] = list(classes)
    if model.given and calibration.dataset is None:
        own["values"] = {name: dict(one.values) for name, one in model.given.items()}
    files = {name: str(one.file) for name, one in model.given.items() if one.file is not None}
    return own, {**calibration.hints, **({"input_files": files} if files else {})}


def packages_of(study: Drafting) -> tuple[str, ...]:
    """What the result of such a stage depends on."""
    return (*ONNX_PACKAGES, *study.study.calibration.distributions)


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    imported = input_of(inputs, "import", ImportResult)
    return {"options": stage.options, "hints": stage.hints, "import_dir": str(sweep_dir / imported.folder())}
