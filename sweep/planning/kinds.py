"""The kinds of stages: the one place that lists them. Others are added from outside, by `STAGE_KINDS.register` or by
an installed package's entry point in the group `sweep.stage_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sweep.errors import PlanError
from sweep.planning.draft import ONNX_PACKAGES, TVM_PACKAGES
from sweep.planning.results.compiling import BuildResult, ImportResult, LowerResult
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.overlay_results import CandidateTimes, NetworkBlocks
from sweep.planning.results.quantising import CalibrateResult, QuantiseResult
from sweep.planning.results.roofline_results import DeviceRoof, LayerTimes
from sweep.planning.results.training_result import TrainResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages import (
    build,
    calibrate,
    evaluate,
    final,
    import_,
    layer_advice,
    layer_errors,
    layer_latencies,
    lower,
    measure,
    overlay,
    quantise,
    roofline_stages,
    train,
    tune,
)
from sweep.registry import Registry

__all__ = ["STAGE_KINDS", "inputs_by_role", "kind_of", "kinds_after", "place_of"]

_beside_cells = partial(
    StageKind, place=Place.DEVICE, draft=None, error_class="MeasureFailed", distributions=TVM_PACKAGES
)
"""On a device, over cells that have ended."""

_SHIPPED = (
    StageKind(
        name="train",
        inputs={"earlier": "train"},
        place=Place.COMPILE,
        result=TrainResult,
        draft=train.draft,
        arguments=train.arguments,
        job="sweep.toolchain.training.trained_network:train_network",
        error_class="ImportFailed",
        distributions=train.PACKAGES,
        cost_s=30.0,
        limit_s=86_400.0,
        leaves="weights",
    ),
    StageKind(
        name="import",
        inputs={"train": "train"},
        place=Place.COMPILE,
        result=ImportResult,
        draft=import_.draft,
        arguments=import_.arguments,
        job="sweep.toolchain.jobs:import_model",
        error_class="ImportFailed",
        distributions=(*TVM_PACKAGES, "onnx"),
        cost_s=1.5,
        limit_s=600.0,
        leaves="network",
    ),
    StageKind(
        name="calibrate",
        inputs={"import": "import"},
        place=Place.COMPILE,
        result=CalibrateResult,
        draft=calibrate.draft,
        arguments=calibrate.arguments,
        job="sweep.toolchain.quantisation.quantisation_jobs:calibrate_network",
        error_class="CalibrateFailed",
        revision=2,
        distributions=ONNX_PACKAGES,
        cost_s=10.0,
        limit_s=3600.0,
        leaves="table of ranges",
    ),
    layer_errors.KIND,
    StageKind(
        name="quantise",
        inputs=quantise.INPUTS,
        place=Place.COMPILE,
        result=QuantiseResult,
        draft=quantise.draft,
        arguments=quantise.arguments,
        job="sweep.toolchain.quantisation.quantisation_jobs:quantise_network",
        error_class="QuantiseFailed",
        distributions=(*TVM_PACKAGES, *ONNX_PACKAGES),
        cost_s=5.0,
        limit_s=1200.0,
        leaves="quantised network",
    ),
    StageKind(
        name="lower",
        inputs={"import": "import", quantise.ROLE: "quantise"},
        place=Place.COMPILE,
        result=LowerResult,
        draft=lower.draft,
        arguments=lower.arguments,
        job="sweep.toolchain.jobs:lower_model",
        error_class="LowerFailed",
        revision=6,
        distributions=TVM_PACKAGES,
        cost_s=1.5,
        limit_s=600.0,
        leaves="lowered",
    ),
    StageKind(
        name="tune",
        inputs={"lower": "lower"},
        place=Place.TUNER,
        result=TuneResult,
        draft=tune.draft,
        completed=tune.with_members,
        error_class="TuneFailed",
        revision=2,
        distributions=TVM_PACKAGES,
        cost_s=tune.TRIAL_S,
        units=tune.units,
        leaves="records",
    ),
    StageKind(
        name="build",
        inputs={"lower": "lower", "tune": "tune"},
        place=Place.COMPILE,
        result=BuildResult,
        draft=build.draft,
        arguments=build.arguments,
        job="sweep.toolchain.jobs:build_artifact",
        error_class="BuildFailed",
        revision=2,
        distributions=TVM_PACKAGES,
        cost_s=4.0,
        limit_s=1200.0,
        leaves="library",
    ),
    StageKind(
        name="measure",
        inputs={"import": "import", "build": "build", quantise.ROLE: "quantise"},
        place=Place.DEVICE,
        result=Measurement,
        draft=measure.draft,
        error_class="MeasureFailed",
        revision=2,
        distributions=TVM_PACKAGES,
        cost_s=4.0,
        fixed_s=measure.fixed_s,
        is_goal=True,
    ),
    evaluate.KIND,
    layer_latencies.KIND,
    layer_advice.KIND,
    StageKind(
        name=overlay.LAYER,
        inputs={},
        place=Place.DEVICE,
        result=CandidateTimes,
        draft=None,
        job="sweep.engine.overlay_jobs:time_candidates",
        error_class="MeasureFailed",
        distributions=TVM_PACKAGES,
        cost_s=4.0,
    ),
    StageKind(
        name=overlay.BUILD,
        inputs={"lower": "lower"},
        place=Place.COMPILE,
        result=BuildResult,
        draft=None,
        arguments=overlay.build_arguments,
        job="sweep.toolchain.jobs:build_artifact",
        error_class="BuildFailed",
        distributions=TVM_PACKAGES,
        cost_s=4.0,
        limit_s=1200.0,
    ),
    StageKind(
        name=overlay.NETWORK,
        inputs={"import": "import", "merged": overlay.BUILD, "own": overlay.BUILD},
        place=Place.DEVICE,
        result=NetworkBlocks,
        draft=None,
        job="sweep.engine.overlay_jobs:measure_in_turns",
        error_class="MeasureFailed",
        distributions=TVM_PACKAGES,
        cost_s=8.0,
    ),
    _beside_cells(
        name=final.FINAL,
        inputs=final.ROLES,
        result=FinalResult,
        job="sweep.engine.final_job:take_turns",
        revision=2,
        cost_s=4.0,
        fixed_s=final.limit_s,
    ),
    _beside_cells(
        name=roofline_stages.DEVICE,
        inputs={},
        result=DeviceRoof,
        job="sweep.engine.roofline_jobs:measure_roof",
        cost_s=10.0,
    ),
    _beside_cells(
        name=roofline_stages.LAYERS,
        inputs=roofline_stages.ROLES,
        result=LayerTimes,
        job="sweep.engine.roofline_jobs:time_layers",
        cost_s=20.0,
    ),
)

STAGE_KINDS: Registry[StageKind] = Registry(
    "kind of stage", "sweep.stage_kinds", {kind.name: kind for kind in _SHIPPED}
)
"""By name, in the order in which a cell needs them: inputs before what takes them."""


def kind_of(stage: Stage | str, key: str = "") -> StageKind:
    """The kind of a stage, or of a name. `key`: where the name was read. Raises StudyError where there is none."""
    return STAGE_KINDS.get(stage if isinstance(stage, str) else stage.kind, key)


def place_of(stage: Stage) -> Place:
    """Where a stage is performed. Raises StudyError for an unknown kind."""
    return STAGE_KINDS.get(stage.kind).place


def kinds_after(place: Place) -> frozenset[str]:
    """Kinds that take, directly or not, a stage of this place."""
    kinds = list(STAGE_KINDS)
    after = {kind.name for kind in kinds if kind.place is place}
    first = frozenset(after)
    for kind in kinds:
        if after.intersection(kind.inputs.values()):
            after.add(kind.name)
    return frozenset(after - first)


def inputs_by_role(stage: Stage, stages: Mapping[str, Stage]) -> dict[str, str]:
    """Ids of a stage's inputs by their role. Of several roles of one kind, the first is its first input's, and so on.

    stages: by id; those of its inputs are among them. Raises PlanError for more inputs of a kind than it has roles for.
    """
    roles: dict[str, str] = {}
    named = kind_of(stage).roles_of
    for stage_id in stage.inputs:
        kind = stages[stage_id].kind
        role = next((role for role in named.get(kind, (kind,)) if role not in roles), None)
        if role is None:
            raise PlanError(f"{stage.label}: a {stage.kind} stage takes no further {kind}, but is given {stage_id}")
        roles[role] = stage_id
    return roles
