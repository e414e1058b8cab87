"""One stage outside a run: performed by an engine to its end, on a device that a command names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sweep import errors
from sweep.errors import StudyError, SweepError
from sweep.planning.fingerprint import fingerprint
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.running.contract import Attempt, Done, Engine, Failed
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.cluster.target_fit import fit
from sweep.study.spec import Target
from sweep.suggestions import hint, listed

__all__ = ["check_fit", "device_of", "perform_stage"]

_POLL_S = 0.5

R = TypeVar("R", bound=StageResult)


def perform_stage(
    engine: Engine,
    kind: str,
    of: type[R],
    options: Mapping[str, Any],
    inputs: Mapping[str, StageResult],
    device: Device,
) -> R:
    """One stage, to its end: its result, of type `of`. Raises the error that it ended in."""
    sources = sorted(result.dir or "" for result in inputs.values())
    name = fingerprint({"kind": kind, "options": dict(options), "inputs": sources})
    stage = Stage(f"exec-{name[:16]}", kind, options, {"linker": device.linker}, (), f"{kind} on {device.key}")
    engine.start(Attempt(stage, 1, inputs))
    while True:
        for report in engine.poll(_POLL_S):
            if isinstance(report, Done):
                assert isinstance(report.result, of)
                return report.result
            if isinstance(report, Failed):
                raise getattr(errors, report.error_class, SweepError)(report.error)


def device_of(cluster: Cluster, key: str, option: str) -> Device:
    """A device of the cluster file. `option`: how the command was told its key. Raises StudyError."""
    keys = [device.key for device in cluster.devices]
    if key not in keys:
        problem = f"is no device of the cluster file{hint(key, keys)}"
        raise StudyError(problem, file=cluster.path, key=option, value=key, allowed=listed(keys))
    return cluster.device(key)


def check_fit(target: Mapping[str, Any], device: Device, option: str) -> None:
    """Raises StudyError where code for the target cannot run on the device."""
    reason = fit(Target("the artifact's target", dict(target)), device)
    if reason is not None:
        raise StudyError(f"cannot run there: {reason}", key=option, value=device.key, allowed="a device that it fits")
