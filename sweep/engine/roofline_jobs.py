"""The stages of a roofline that a device's worker performs: kernels of the device's roof, and layers of a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.stage_calls import folder_of
from sweep.errors import ArtifactDamaged, MeasureFailed
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.roofline_results import DeviceRoof, LayerTimes, RoofKernel, TimedLayer
from sweep.running.contract import Attempt
from sweep.running.resuming import damage_of
from sweep.toolchain.compile_job import BUILD_LAYERS, BUILD_ROOF_KERNELS, CompileJob

__all__ = ["built_and_timed", "measure_roof", "stream_sizes", "time_layers"]

_KERNELS = {"repeat": 10, "min_repeat_ms": 20, "timeout_s": 300.0}
_LAYERS = {"repeat": 5, "min_repeat_ms": 5, "timeout_s": 600.0}
_IN_CACHES_BYTES = (24 << 10, 192 << 10, 1 << 20, 8 << 20)
_BEYOND, _MOST_BYTES = 4, 1 << 29
_LEAST_BYTES = 64 << 20


def stream_sizes(cache_bytes: int | None) -> list[int]:
    """Of streams: some that lie in the caches of most cores, and one of four times the last cache."""
    largest = min(_MOST_BYTES, max(_LEAST_BYTES, _BEYOND * (cache_bytes or 0)))
    return [*_IN_CACHES_BYTES, largest]


def measure_roof(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """The most that the device does. Raises MeasureFailed where a kernel of it gives no time."""
    options = attempt.stage.options
    with _scratch_of(attempt, worker) as scratch:
        made = worker.compile(
            BUILD_ROOF_KERNELS,
            {
                "target": dict(options["target"]),
                "threads": int(options["threads"]),
                "stream_bytes": stream_sizes(worker.observe().get("cache_bytes")),
                "out_path": str(scratch / "roof.so"),
                "linker": attempt.stage.hints.get("linker"),
            },
            attempt.limit_s,
        )
        told = worker.time_kernels(scratch / "roof.so", made["kernels"], _KERNELS)
    kernels = []
    for about, run_secs in zip(made["kernels"], told["run_secs"], strict=True):
        if isinstance(run_secs, str):
            raise MeasureFailed(f"{about['name']}: {run_secs}")
        work, footprint = float(about["work"]), int(about["footprint_bytes"])
        kernels.append(RoofKernel(about["name"], about["kind"], work, footprint, tuple(run_secs)))
    return DeviceRoof(
        device=str(options["device"]),
        threads=int(options["threads"]),
        kernels=tuple(kernels),
        conditions=told["conditions"],
    ).to_json()


def time_layers(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """The layers of a cell's library, each timed alone; one that cannot be is told with its reason.

    Raises ArtifactDamaged: a file is not as it was made.
    """
    options = attempt.stage.options
    made, run_secs = built_and_timed(attempt, worker, BUILD_LAYERS, attempt.stage.hints.get("records"))
    layers = tuple(_timed(about, secs) for about, secs in zip(made["layers"], run_secs, strict=True))
    return LayerTimes(device=str(options["device"]), cell=str(options["cell"]), layers=layers).to_json()


def built_and_timed(
    attempt: Attempt, worker: DeviceWorker, job: CompileJob, records: str | None, **more: str
) -> tuple[dict[str, Any], list[list[float] | str]]:
    """Build the layers of a lowered network into one library, and time each alone: what the job made, and the seconds
    of each of its `layers`, or why there are none.

    records: of its tuning, relative to the sweep directory. more: what the job is given besides. Raises
    ArtifactDamaged: a file of an input is not as it was made.
    """
    home = worker.sweep_dir
    for result in attempt.inputs.values():
        if (reason := damage_of(result, home, is_read=True)) is not None:
            raise ArtifactDamaged(f"{reason}; it is not loaded, and the next `sweep run` makes it again")
    with _scratch_of(attempt, worker) as scratch:
        made = worker.compile(
            job,
            {
                "options": {"target": dict(attempt.stage.options["target"])},
                "lower_dir": str(home / attempt.input("lower", LowerResult).folder()),
                "records_dir": None if records is None else str(home / records),
                "out_path": str(scratch / "layers.so"),
                "linker": attempt.stage.hints.get("linker"),
                **more,
            },
            attempt.limit_s,
        )
        return made, worker.time_kernels(scratch / "layers.so", made["layers"], _LAYERS)["run_secs"]


@contextmanager
def _scratch_of(attempt: Attempt, worker: DeviceWorker) -> Iterator[Path]:
    """The folder of a stage, for a library that nobody needs afterwards."""
    folder = worker.sweep_dir / folder_of(attempt.stage)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _timed(about: Mapping[str, Any], run_secs: list[float] | str) -> TimedLayer:
    sizes = {
        name: about[name] for name in ("name", "count", "operations", "input_bytes", "weight_bytes", "output_bytes")
    }
    if isinstance(run_secs, str):
        return TimedLayer(**sizes, error=run_secs)
    return TimedLayer(**sizes, run_secs=tuple(run_secs))
