"""The stage that times a network's layers, as a device's worker performs it: kernels are timed, layers are told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.roofline_jobs import built_and_timed
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.layer_advice_results import LayerLatencies, PlacedLayer, TimedKernel
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stages.quantise import role_given
from sweep.running.contract import Attempt
from sweep.toolchain.compile_job import BUILD_PLACED_LAYERS

__all__ = ["time_network_layers"]


def time_network_layers(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """Time the kernels of a build one by one, and tell which layers of the network they compute.

    Raises ArtifactDamaged: a file is not as it was made.
    """
    began = time.monotonic()
    network = worker.sweep_dir / attempt.input(role_given(attempt.inputs), ImportResult).folder()
    records = attempt.input("tune", TuneResult).records_dir if "tune" in attempt.inputs else None
    made, run_secs = built_and_timed(attempt, worker, BUILD_PLACED_LAYERS, records, network_dir=str(network))
    return LayerLatencies(
        device=str(attempt.stage.options["device"]),
        kernels=tuple(_timed(about, secs) for about, secs in zip(made["layers"], run_secs, strict=True)),
        layers=tuple(PlacedLayer.from_json(place) for place in made["places"]),
        layer_latencies_s=time.monotonic() - began,
    ).to_json()


def _timed(about: Mapping[str, Any], run_secs: list[float] | str) -> TimedKernel:
    name, calls = str(about["name"]), int(about["count"])
    return TimedKernel(name, calls, error=run_secs) if isinstance(run_secs, str) else TimedKernel(name, calls, run_secs)
