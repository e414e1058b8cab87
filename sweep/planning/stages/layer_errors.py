"""The comparison of a quantised network with the float one, layer by layer: on the host, of all targets the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import ONNX_PACKAGES, Draft, Drafting
from sweep.planning.results.quantising import CalibrateResult, LayerErrorsResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages.calibrate import packages_of, samples_of
from sweep.planning.stages.layer_latencies import is_advised_on
from sweep.planning.stages.quantise import LAYERS, compared_options
from sweep.study.advised_precisions import WORST
from sweep.study.spec import Cell

__all__ = ["KIND", "arguments", "draft"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A quantised cell takes one where the study asks for it, or its precision keeps the layers that cost most."""
    if not study.is_quantised(cell):
        return None
    precision = study.precision(cell)
    is_ranked = study.study.tells_layer_errors or precision.options.get(WORST)
    if not (is_ranked or (cell.is_compiled and is_advised_on(study, cell))):
        return None
    calibrated = made["calibrate"]
    return study.once(("layer errors", cell.precision, calibrated), lambda: _drafted(study, cell, calibrated))


def _drafted(study: Drafting, cell: Cell, calibrated: str) -> Draft:
    options = compared_options(study.precision(cell))
    samples, hints = samples_of(study, cell)
    label = f"compare layers of {study.network(cell)} {cell.precision}"
    own = {**options, **samples}
    return Draft(study.options(LAYERS, cell, own), {"calibrate": calibrated}, label, hints, packages_of(study))


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    calibrated = input_of(inputs, "calibrate", CalibrateResult)
    return {"options": stage.options, "hints": stage.hints, "calibrate_dir": str(sweep_dir / calibrated.folder())}


KIND = StageKind(
    name=LAYERS,
    inputs={"calibrate": "calibrate"},
    place=Place.COMPILE,
    result=LayerErrorsResult,
    draft=draft,
    arguments=arguments,
    job="sweep.toolchain.quantisation.layer_job:compare_layers",
    error_class="QuantiseFailed",
    revision=2,
    distributions=ONNX_PACKAGES,
    cost_s=20.0,
    limit_s=3600.0,
    is_goal=True,
    leaves="layer errors",
)
