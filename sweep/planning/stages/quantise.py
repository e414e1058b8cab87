"""The quantisation of an imported network, by the ranges of its calibration: lowered and run in the import's place."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.layer_advice_results import LayerAdvice
from sweep.planning.results.quantising import CalibrateResult, LayerErrorsResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.study.advised_precisions import ADVISED, WORST, whole_of
from sweep.study.precisions import Precision
from sweep.study.spec import Cell
from sweep.study.usual_cells import as_usual

__all__ = [
    "ADVICE",
    "INPUTS",
    "LATENCIES",
    "LAYERS",
    "ROLE",
    "arguments",
    "compared_options",
    "draft",
    "network_role",
    "quantise_options",
    "role_given",
]

ROLE = "quantise"
"""What it is to a stage that takes it in the import's place."""

LAYERS = "layer_errors"
"""The kind of stage that ranks them."""
LATENCIES = "layer_latencies"
"""The kind of stage that times them."""
ADVICE = "layer_advice"
"""The kind of stage that ranks them by what they gain for what they cost."""
INPUTS = {"import": "import", "calibrate": "calibrate"} | {LAYERS: LAYERS, ADVICE: ADVICE}
"""Kind of each by its role."""
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
    if options.get(ADVISED):
        return _advised(study, cell, options, inputs, label)
    key = ("quantise", cell.precision, *inputs.values())
    return study.once(key, lambda: Draft(study.options("quantise", cell, options), inputs, label))


def _advised(study: Drafting, cell: Cell, options: Mapping[str, Any], inputs: Mapping[str, str], label: str) -> Draft:
    """It takes the advice of the timed cell that keeps no layer, so it is of one target, tuner and device."""
    whole = whole_of(study.study, cell.precision)
    assert whole is not None  # the gate says so
    advice = study.stage_of(replace(as_usual(cell), precision=whole), ADVICE)
    assert advice is not None  # cells that nobody could advise on are refused, see `Refusals`
    return Draft(study.options("quantise", cell, options), {**inputs, ADVICE: advice}, f"{label} on {cell.device}")


def quantise_options(precision: Precision) -> dict[str, Any]:
    """What a precision says of how a network is quantised."""
    return {key: value for key, value in precision.options.items() if key not in _OF_OTHERS}


def compared_options(precision: Precision) -> dict[str, Any]:
    """The same without what rests on comparing layers."""
    return {key: value for key, value in quantise_options(precision).items() if key not in (WORST, ADVISED)}


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
    if ADVICE in inputs:
        first = input_of(inputs, ADVICE, LayerAdvice).ranked[: int(options[ADVISED])]
        options["float32"] = sorted({*(options.get("float32") or ()), *first})
    return {
        "options": options,
        "import_dir": str(sweep_dir / imported.folder()),
        "import_result": imported.to_json(),
        "calibrate_dir": str(sweep_dir / calibrated.folder()),
        "saved_table": calibrated.saved_table,
    }
