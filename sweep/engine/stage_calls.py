"""What each kind of stage means as a call: which job, with which arguments, under which time limit.

Shared by the engines, so that a stage does the same wherever it runs. Knows the layout of a sweep directory; knows
neither Ray nor processes.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import DiskFull, PlanError, SweepError, disk_refusal
from sweep.files.checksums import sums_of
from sweep.files.sweep_dir import stage_folder
from sweep.planning.kinds import kind_of
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult, LowerResult
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stages.quantise import role_given
from sweep.running.contract import Attempt, Done, Failed
from sweep.study.profile_options import USUAL_POINT, ProfilePoint
from sweep.toolchain.candidates.service import NetworkOrder
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.tuning.job import TuneJob, TuningTask

if TYPE_CHECKING:
    from sweep.planning.stage import Stage

__all__ = [
    "CompileCall",
    "DeviceJobCall",
    "MeasureCall",
    "Outcome",
    "TuneCall",
    "compile_call",
    "compiled",
    "device_call",
    "measure_call",
    "perform",
    "tune_call",
]

_EARLY = {
    "repeat": 3,
    "max_repeat": 3,
    "min_repeat_ms": 20,
    "rounds": 1,
    "warmup": 1,
    "relative_interval": 0.0,
    "retakes": 0,
    "timeout_s": 60.0,
}
"""Of the measurement of a network that is still tuned, over what the study says: one visit, as short as may be."""


@dataclass(frozen=True, slots=True)
class CompileCall:
    """A job for the compile pool."""

    job: CompileJob
    arguments: Mapping[str, Any]
    folder: str
    """Result folder, relative to the sweep directory."""


@dataclass(frozen=True, slots=True)
class TuneCall:
    """A job for a tuner, and the tuner that it is for."""

    key: str
    """Of the tuner, and the path of its records relative to the sweep directory."""
    name: str
    target: Mapping[str, Any]
    seed: int
    job: TuneJob
    """The modules of its tasks are relative to the sweep directory."""
    lower_dir: str
    linker: str | None
    """The device's own, for candidates of another architecture."""
    ends_t: float | None = None
    """When what its run leaves to it is over, in Unix seconds."""

    def left_s(self) -> float | None:
        """Until then: less than at its start where the tuner's process took time to come up. None: no limit."""
        return None if self.ends_t is None else max(0.0, self.ends_t - time.time())


@dataclass(frozen=True, slots=True)
class MeasureCall:
    """A job for a device."""

    device: str
    runtime: str
    artifact_dir: str | None
    import_dir: str
    measure: Mapping[str, Any]
    threads: int
    threshold: float | None
    """Largest difference from the expected output; none: any, and it is recorded."""
    point: ProfilePoint = USUAL_POINT
    """Whether it infers or is trained, and what is observed, under which limits."""
    made: Sequence[tuple[StageResult, Sequence[str] | None]] = ()
    """The results whose files it takes, these or all: they are read, and must be as they were made, before any is
    loaded.
    """
    key: str = ""
    """Of its stage, by which its progress is asked for."""


@dataclass(frozen=True, slots=True)
class DeviceJobCall:
    """A job for a device that is more than a measurement."""

    device: str
    job: str
    """`module:function`, which is given the attempt and the device's worker."""
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended, in a form that crosses process borders: a result as JSON or an error by class name."""

    result: Mapping[str, Any] | None
    error_class: str = ""
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0
    worker: str = ""

    def report(self, attempt: Attempt) -> Done | Failed:
        """As a report to the driver."""
        stage_id, number = attempt.stage.id, attempt.number
        if self.result is not None:
            try:
                result = kind_of(attempt.stage).result.of_job(self.result)
            except PlanError as error:
                return Failed(stage_id, number, "Bug", str(error), self.seconds, self.worker)
            return Done(stage_id, number, result, self.seconds, self.worker)
        return Failed(stage_id, number, self.error_class, self.error, self.seconds, self.worker, self.traceback)


def perform(call: Callable[[], Mapping[str, Any]], worker: str) -> Outcome:
    """Run a call; an error becomes an outcome.

    Anything that is not of the error tree is a bug in this program: it fails its own stage, under the name `Bug`, with
    its traceback in the ledger.
    """
    begun = time.monotonic()
    try:
        result = call()
    except SweepError as error:
        text = error.traceback_text or traceback.format_exc()
        return Outcome(None, _class_of(error), str(error), text, time.monotonic() - begun, worker)
    except Exception as error:  # noqa: BLE001 - see above
        message, text = f"{type(error).__name__}: {error}", traceback.format_exc()
        return Outcome(None, _class_of(error), message, text, time.monotonic() - begun, worker)
    # A cell that took turns has waited for the others': its own visits are what it cost
    return Outcome(result, seconds=float(result.get("device_s", time.monotonic() - begun)), worker=worker)


def _class_of(error: Exception) -> str:
    """A disk that refuses is no fault of the stage, whoever met it: Python, a linker, a library in a child."""
    if disk_refusal(error) is not None:
        return DiskFull.__name__
    return type(error).__name__ if isinstance(error, SweepError) else "Bug"


def folder_of(stage: Stage) -> str:
    """Where a stage's files lie, relative to the sweep directory."""
    return stage_folder(stage.kind, stage.id)


def compile_call(attempt: Attempt, sweep_dir: Path) -> CompileCall:
    """The compile pool's job for a stage that is performed there."""
    stage, kind = attempt.stage, kind_of(attempt.stage)
    folder = folder_of(stage)
    arguments = {**kind.arguments(stage, attempt.inputs, sweep_dir), "out_dir": str(sweep_dir / folder)}
    job = CompileJob(kind.job, kind.error_class, limit_s=kind.limit_s).within(attempt.limit_s)
    return CompileCall(job, _plain(arguments), folder)


def compiled(call: CompileCall, result: Mapping[str, Any], sweep_dir: Path) -> dict[str, Any]:
    """The result of a compile call with its folder, and with the checksums of what is in it."""
    return {**result, "dir": call.folder, "files": sums_of(sweep_dir / call.folder)}


def tune_call(attempt: Attempt) -> TuneCall:
    """The tuner's job for a tune stage."""
    stage = attempt.stage
    lower = attempt.input("lower", LowerResult)
    tuner = stage.options["tuner"]
    folder = lower.folder()
    job = TuneJob(
        label=stage.label,
        tasks=[
            TuningTask(
                workload=task.workload,
                name=task.name,
                weight=task.weight,
                trivial=task.trivial,
                module=Path(folder) / "tasks" / f"{task.workload}.json",
                family=task.family,
            )
            for task in lower.tasks
        ],
        tuner=str(stage.hints["tuner"]),
        device=str(stage.options["device"]),
        options=_plain(tuner["options"]),
        members=int(stage.hints["members"]),
        warm_start=[Path(records) for records in stage.hints.get("warm_start", ())],
        network=_network_order(stage, folder),
    )
    return TuneCall(
        key=str(stage.hints["records"]),
        name=tuner["name"],
        target=_plain(stage.options["target"]),
        seed=int(stage.options["seed"]),
        job=job,
        lower_dir=folder,
        linker=stage.hints.get("linker"),
        ends_t=None if attempt.limit_s is None else time.time() + attempt.limit_s,
    )


def _network_order(stage: Stage, lower_dir: str) -> NetworkOrder | None:
    """None where an older version has planned the stage."""
    hint = stage.hints.get("network")
    if hint is None:
        return None
    threshold = hint["threshold"]
    return NetworkOrder(
        lower_dir,
        measure={**_plain(hint["measure"]), **_EARLY},
        threads=int(hint["threads"]),
        threshold=None if threshold is None else float(threshold),
    )


def measure_call(attempt: Attempt) -> MeasureCall:
    """The device's job for a measure stage."""
    options = attempt.stage.options
    measure = _plain(options["measure"])
    measure["timeout_s"] = _at_most(attempt, float(measure["timeout_s"]))
    point = ProfilePoint.of(options)
    if "time_limit_s" in point.limits:
        measure["time_limit_s"] = min(point.limits["time_limit_s"], float(measure.get("time_limit_s", math.inf)))
    return MeasureCall(
        device=str(options["device"]),
        runtime=str(options["runtime"]),
        artifact_dir=attempt.input("build", BuildResult).folder() if "build" in attempt.inputs else None,
        import_dir=attempt.input(role_given(attempt.inputs), ImportResult).folder(),
        measure=measure,
        threads=int(options["threads"]),
        threshold=None if options["threshold"] is None else float(options["threshold"]),
        point=point,
        made=_made(attempt),
        key=attempt.stage.id,
    )


def _made(attempt: Attempt) -> list[tuple[StageResult, Sequence[str] | None]]:
    compared = COMPARED if "build" in attempt.inputs else None
    return [(result, compared if isinstance(result, ImportResult) else None) for result in attempt.inputs.values()]


def device_call(attempt: Attempt) -> MeasureCall | DeviceJobCall:
    """The device's job for a stage that is performed there."""
    job = kind_of(attempt.stage).job
    return DeviceJobCall(str(attempt.stage.options["device"]), job, attempt) if job else measure_call(attempt)


def _at_most(attempt: Attempt, timeout_s: float) -> float:
    return timeout_s if attempt.limit_s is None else min(timeout_s, attempt.limit_s)


def _plain(value: Any) -> Any:
    """Plain dicts and lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
