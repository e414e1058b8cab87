"""The import of a network: read from its file, for one batch size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import TVM_PACKAGES, Draft, Drafting
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.results.training_result import TrainResult
from sweep.planning.stage import Stage
from sweep.study.importers.importer import ModelImporter
from sweep.study.importers.importer_registry import UNNAMED, importer_named
from sweep.study.spec import Cell, Model
from sweep.study.tuners.own_tuner import source_sha256

__all__ = ["arguments", "draft", "work_of"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft:
    """Every cell takes one."""
    trained = made.get("train")
    key = ("import", trained, cell.model, *study.taken("import", cell))
    return study.once(key, lambda: _drafted(study, cell, trained))


def _drafted(study: Drafting, cell: Cell, trained: str | None) -> Draft:
    """trained: the stage that trains the network, or one that it is made of."""
    model = study.models[cell.model]
    own = {
        "sha256": model.sha256,
        "inputs": {name: list(shape) for name, shape in model.inputs.items()},
        "seed": study.study.seed,
        **({} if model.importer == UNNAMED else {"importer": model.importer}),
        **model.options,
        **model.batch.options,
        **({"values": {name: dict(one.values) for name, one in model.given.items()}} if model.given else {}),
    }
    importer = importer_named(model.importer)
    hints: dict[str, Any] = {
        "path": str(model.path),
        "name": model.name,
        "source": model.source,
        "loader": importer.loader,
    }
    if files := _files_of(model):
        hints["files"] = files
    if model.base is not None:
        hints["base_name"] = model.base.name
    if given := {name: str(one.file) for name, one in model.given.items() if one.file is not None}:
        hints["input_files"] = given
    packages, source = work_of(importer, model.base)
    inputs = {} if trained is None else {"train": trained}
    return Draft(study.options("import", cell, own), inputs, _label, hints, packages, source)


def _files_of(model: Model) -> list[str]:
    """The files whose hash is the model's, in the order in which they are hashed; none where it is of anything else."""
    origin = model
    while origin.base is not None:
        origin = origin.base
    return [str(file) for file in (origin.path, *origin.companions)] if origin.is_hashed else []


def _label(study: Drafting, cell: Cell) -> str:
    return f"import {study.network(cell)}"


def work_of(importer: ModelImporter, base: Model | None = None) -> tuple[tuple[str, ...], str]:
    """What does the work: TVM's and an importer's packages, and the hash of its file where it names no package.

    base: of a variant, the model that it is made of, whose importer works too.
    """
    source = "" if importer.distributions else str(source_sha256(importer.loader))
    packages = (*TVM_PACKAGES, *importer.distributions)
    if base is None:
        return packages, source
    more, its_source = work_of(importer_named(base.importer), base.base)
    return tuple(dict.fromkeys((*packages, *more))), source or its_source


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    if "train" not in inputs:
        return {"options": stage.options, "hints": stage.hints}
    trained = input_of(inputs, "train", TrainResult)
    return {"options": stage.options, "hints": {**stage.hints, "trained_dir": str(sweep_dir / trained.folder())}}
