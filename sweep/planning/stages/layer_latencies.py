"""The latencies of a network's layers in a cell's build, measured on its device."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.planning.draft import TVM_PACKAGES, Draft, Drafting
from sweep.planning.results.layer_advice_results import LayerLatencies
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages.quantise import LATENCIES, ROLE, network_role
from sweep.study.advised_precisions import ADVISED, WORST, whole_of
from sweep.study.spec import Cell
from sweep.study.usual_cells import is_usual

__all__ = ["KIND", "draft", "is_advised_on"]

_FORM = "onnx"
"""The form that layers and weights are read from."""
_FLOAT = "float32"


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A compiled cell takes one, in float32 or quantised, where the study asks for it or a precision is advised."""
    if not (cell.is_compiled and is_usual(cell) and is_advised_on(study, cell)):
        return None
    if _FORM not in study.models[cell.model].formats:
        return None
    device = study.devices[cell.device]
    own = {
        "device": device.key,
        "device_target": dict(device.target),
        "threads": device.threads,
        "target": dict(study.full_target(cell).data),
    }
    inputs = {**network_role(made), **{role: made[role] for role in ("lower", "tune") if role in made}}
    label = f"time layers of {study.compiled(cell)} {cell.tuner}{study.beside(cell, 'tune', 'build')} on {cell.device}"
    return Draft(study.options(LATENCIES, cell, own), inputs, label, {"linker": device.linker})


def is_advised_on(study: Drafting, cell: Cell) -> bool:
    """Whether the layers of a cell are timed: it is in float32, or quantised, and the study asks for that; or some
    precision keeps layers by the advice on this one. One that keeps the worst layers has the times of that beside it
    which keeps none of them, where the study has it.
    """
    return study.once(("is advised on", cell.precision), lambda: _is_advised_on(study, cell))


def _is_advised_on(study: Drafting, cell: Cell) -> bool:
    described = study.study.described.get("precision", {})
    advised = [name for name, one in described.items() if one.options.get(ADVISED)]
    if not study.is_quantised(cell):
        return cell.precision == _FLOAT and bool(advised or study.study.tells_layer_latencies)
    if cell.precision in [whole_of(study.study, name) for name in advised]:
        return True
    options = study.precision(cell).options
    if not study.study.tells_layer_latencies or options.get(ADVISED):
        return False
    return not (options.get(WORST) and whole_of(study.study, cell.precision, without=WORST))


KIND = StageKind(
    name=LATENCIES,
    inputs={"import": "import", ROLE: "quantise"} | {"lower": "lower", "tune": "tune"},
    place=Place.DEVICE,
    result=LayerLatencies,
    draft=draft,
    job="sweep.engine.layer_latency_job:time_network_layers",
    error_class="MeasureFailed",
    distributions=TVM_PACKAGES,
    cost_s=15.0,
    is_goal=True,
)
