"""The training of a network that a study asks for: once, whatever batches, targets and tuners its cells have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.results.training_result import TrainResult
from sweep.planning.stage import Stage
from sweep.study.importers.importer_registry import importer_named
from sweep.study.spec import Cell, Model

__all__ = ["PACKAGES", "arguments", "draft"]

PACKAGES = ("torch", "onnx")


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell takes one whose network is trained, or made of one that is."""
    trained = study.models[cell.model].trained
    if trained is None:
        return None
    return study.once(("train", trained.name), lambda: _drafted(study, cell, trained))


def _drafted(study: Drafting, cell: Cell, model: Model) -> Draft:
    assert model.training is not None  # as `trained` has it
    assert model.base is not None
    earlier = model.base.trained
    inputs = {}
    if earlier is not None and (stage := study.stage_of(replace(cell, model=earlier.name), "train")) is not None:
        inputs["earlier"] = stage
    own = {
        "sha256": model.sha256,
        "inputs": {name: list(shape) for name, shape in model.inputs.items()},
        "seed": study.study.seed,
        **model.options,
        **model.batch.options,
    }
    hints = {"path": str(model.path), "name": model.name, "data_files": dict(model.training.files)}
    packages = dict.fromkeys((*PACKAGES, *model.training.distributions))
    base: Model | None = model.base
    while base is not None:
        packages |= dict.fromkeys(importer_named(base.importer).distributions)
        base = base.base
    return Draft(study.options("train", cell, own), inputs, f"train {model.name}", hints, tuple(packages))


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    earlier = input_of(inputs, "earlier", TrainResult) if "earlier" in inputs else None
    earlier_dir = None if earlier is None else str(sweep_dir / earlier.folder())
    return {"options": stage.options, "hints": stage.hints, "earlier_dir": earlier_dir}
