"""A runtime on the same network, the same inputs, the same cores and threads as compiled code, in a child process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep import errors
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.errors import MeasureFailed, MeasureTimeout, WorkerKilled, killed_by
from sweep.installation import child_environment, python_command
from sweep.study.profile_options import USUAL_POINT, ProfilePoint
from sweep.study.runtimes import Runtime, runtime_of

__all__ = ["START_S", "answer_of_child", "environment_of", "measure_in_child"]

START_S = 10.0
"""Interpreter, imports and the session's graph optimisation, on top of the measurement's own limit. A runtime that
takes longer says so (`Runtime.opening_s`).
"""

_MEASURES = "sweep.devices.runtimes.child"


def measure_in_child(
    runtime: str,
    import_dir: Path,
    measure: Mapping[str, Any],
    place: MeasuringPlace,
    threshold: float | None,
    kernel: SentinelKernel | None = None,
    point: ProfilePoint = USUAL_POINT,
) -> dict[str, Any]:
    """The result of a measure stage. Raises OutputMismatch, MeasureFailed, MeasureTimeout, WorkerKilled, OutOfMemory,
    OverTimeLimit.
    """
    about = runtime_of(runtime)
    orders = {
        "parent_pid": os.getpid(),
        "runtime": runtime,
        "import_dir": str(import_dir.resolve()),
        "measure": dict(measure),
        "place": asdict(place),
        "threshold": threshold,
        "mode": point.mode,
        "variable": point.variable,
        "limits": dict(point.limits),
        "kernel": None if kernel is None else {"lib": str(kernel.lib.resolve()), "args": list(kernel.args)},
    }
    return answer_of_child(about, orders, float(measure["timeout_s"]), place.threads)


def answer_of_child(
    about: Runtime, orders: Mapping[str, Any], timeout_s: float, threads: int, module: str = _MEASURES
) -> dict[str, Any]:
    """What a runtime's process answers to orders, its start apart within `timeout_s`.

    Raises what the process raised, MeasureFailed, MeasureTimeout, WorkerKilled.
    """
    limit_s = timeout_s + START_S + about.opening_s
    try:
        done = subprocess.run(
            python_command(module),
            input=json.dumps(orders),
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=environment_of(about, threads),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureTimeout(f"{about.title} did not finish within {limit_s:g} s") from error
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        if (outside := killed_by(done.returncode)) is not None:
            told = f"{about.title}'s process was killed with {outside}: from outside, or for want of memory"
            raise WorkerKilled(told) from error
        tail = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MeasureFailed(f"{about.title}'s process ended with {done.returncode}: {tail[:300]}") from error
    if "error_class" in result:
        raise getattr(errors, result["error_class"])(result["error"])
    return result


def environment_of(runtime: Runtime, threads: int) -> dict[str, str]:
    """The environment of a runtime's process."""
    usual = {
        "TVM_NUM_THREADS": str(threads),  # the sentinel kernel's
        "TVM_BIND_THREADS": "0",
        "OMP_NUM_THREADS": "1",  # numpy's, idle beside the runtime's own
        "OPENBLAS_NUM_THREADS": "1",
    }
    return child_environment(**{**usual, **runtime.environment})
