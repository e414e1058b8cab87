"""The advice which layers of a quantised network to keep in float32, by what they gain for what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.planning.draft import ONNX_PACKAGES, Draft, Drafting
from sweep.planning.results.layer_advice_results import LayerAdvice, LayerLatencies
from sweep.planning.results.quantising import CalibrateResult, LayerErrorsResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages.calibrate import packages_of, samples_of
from sweep.planning.stages.quantise import ADVICE, LATENCIES, LAYERS, compared_options
from sweep.study.advised_precisions import WORST
from sweep.study.spec import Cell

__all__ = ["KIND", "arguments", "draft"]

FLOAT_ROLE = "float32_latencies"
_FLOAT = "float32"


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A quantised cell whose layers are timed takes one, with the float32 cell of the same choices beside it."""
    if LATENCIES not in made or not study.is_quantised(cell):
        return None
    in_float = study.stage_of(replace(cell, precision=_FLOAT), LATENCIES)
    if in_float is None:
        return None
    samples, hints = samples_of(study, cell)
    precision = study.precision(cell)
    own = {**compared_options(precision), **samples}
    if worst := precision.options.get(WORST):
        own[WORST] = worst
    inputs = {"calibrate": made["calibrate"], LAYERS: made[LAYERS], LATENCIES: made[LATENCIES], FLOAT_ROLE: in_float}
    label = f"advise on layers of {study.compiled(cell)} {cell.tuner}{study.beside(cell, 'tune', 'build')}"
    label += f" on {cell.device}"
    return Draft(study.options(ADVICE, cell, own), inputs, label, hints, packages_of(study))


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`. The worst layers, where the precision keeps these, are in float32 in what is judged."""
    calibrated = input_of(inputs, "calibrate", CalibrateResult)
    errors = input_of(inputs, LAYERS, LayerErrorsResult)
    times = {role: input_of(inputs, role, LayerLatencies) for role in (LATENCIES, FLOAT_ROLE)}
    options = dict(stage.options)
    worst = errors.ranked[: int(options.pop(WORST, 0))]
    if worst:
        options["float32"] = sorted({*(options.get("float32") or ()), *worst})
    return {
        "options": options,
        "hints": stage.hints,
        "calibrate_dir": str(sweep_dir / calibrated.folder()),
        "layers": [
            layer.to_json() | ({"is_quantised": False} if layer.layer in worst else {}) for layer in errors.layers
        ],
        "seconds": {role: one.seconds() for role, one in times.items()},
        "totals": {role: one.total_s for role, one in times.items()},
        "shares": [
            {layer.layer: list(layer.shares_with) for layer in one.layers if layer.shares_with}
            for one in times.values()
        ],
    }


KIND = StageKind(
    name=ADVICE,
    inputs={"calibrate": "calibrate", LAYERS: LAYERS, LATENCIES: LATENCIES, FLOAT_ROLE: LATENCIES},
    place=Place.COMPILE,
    result=LayerAdvice,
    draft=draft,
    arguments=arguments,
    job="sweep.toolchain.quantisation.advice_job:advise",
    error_class="QuantiseFailed",
    revision=2,
    distributions=ONNX_PACKAGES,
    cost_s=10.0,
    limit_s=3600.0,
    is_goal=True,
    leaves="layer advice",
)
