"""The quantisation of an imported network, by the ranges of its calibration: lowered and run in the import's place."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.quantising import CalibrateResult, LayerErrorsResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.study.precisions import Precision
from sweep.study.spec import Cell

__all__ = ["LAYERS", "ROLE", "WORST", "arguments", "draft", "network_role", "quantise_options", "role_given"]

ROLE = "quantise"
"""What it is to a stage that takes it in the import's place."""

LAYERS = "layer_errors"
"""The kind of stage that ranks them."""
WORST = "float32_worst"
"""The option of a precision that keeps so many layers in float32: those whose quantisation costs most."""
_OF_OTHERS = ("execution", "calibrate_classes")
"""Options of a precision that say how the quantised network is compiled, and what it is calibrated on."""


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell that computes in a quantised network takes one; of all targets, and of all runtimes, the same."""
    if not study.is_quantised(cell):
        return None
    precision = study.precision(cell)
    inputs = {kind: made[kind] for kind in ("import", "calibrate")}
    options = quantise_options(precision)
    if options.get(WORST):
        inputs[LAYERS] = made[LAYERS]
    label = f"quantise {study.network(cell)} {cell.precision}"
    key = ("quantise", cell.precision, *inputs.values())
    return study.once(key, lambda: Draft(study.options("quantise", cell, options), inputs, label))


def quantise_options(precision: Precision) -> dict[str, Any]:
    """What a precision says of how a network is quantised."""
    return {key: value for key, value in precision.options.items() if key not in _OF_OTHERS}


def network_role(made: Mapping[str, str]) -> dict[str, str]:
    """The input of a stage that takes a cell's network, by role: quantised where it is, else as imported."""
    return {ROLE: made["quantise"]} if "quantise" in made else {"import": made["import"]}


def role_given(inputs: Container[str]) -> str:
    """Of a stage that takes a network: the role of the one that it was given."""
    return ROLE if ROLE in inputs else "import"


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    imported, calibrated = input_of(inputs, "import", ImportResult), input_of(inputs, "calibrate", CalibrateResult)
    options = dict(stage.options)
    if LAYERS in inputs:
        worst = input_of(inputs, LAYERS, LayerErrorsResult).ranked[: int(options[WORST])]
        options["float32"] = sorted({*(options.get("float32") or ()), *worst})
    return {
        "options": options,
        "import_dir": str(sweep_dir / imported.folder()),
        "import_result": imported.to_json(),
        "calibrate_dir": str(sweep_dir / calibrated.folder()),
    }
