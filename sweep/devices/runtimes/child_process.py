"""A runtime on the same network, the same inputs, the same cores and threads as compiled code, in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep import errors
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.devices.runtimes.forking.forking_process import Ended, ForkingProcess
from sweep.errors import MeasureFailed, MeasureTimeout, WorkerKilled, killed_by
from sweep.installation import child_environment, python_command
from sweep.study.profile_options import MEMORY, USUAL_POINT, ProfilePoint
from sweep.study.runtimes import Runtime, runtime_of

__all__ = ["START_S", "LoadedRuntimes", "answer_of_child", "environment_of", "measure_in_child"]

START_S = 10.0
"""Interpreter, imports and the session's graph optimisation, on top of the measurement's own limit. A runtime that
takes longer says so (`Runtime.opening_s`).
"""

_MEASURES = "sweep.devices.runtimes.child"
_Perform = Callable[[Mapping[str, Any], float], Ended]
"""Has orders carried out by a process of their own, within a limit in seconds. Raises subprocess.TimeoutExpired."""


class LoadedRuntimes:
    """Processes that have loaded the libraries of runtimes, for those that allow it. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], ForkingProcess] = {}
        self._unfit: set[tuple[str, int]] = set()
        """What cannot be loaded, or cannot be forked then: each measurement has a process from the start."""
        self._lock = threading.Lock()
        self._is_closed = False

    def begin(self, runtime: str, threads: int) -> ForkingProcess | None:
        """Have the library loaded, and do not wait; None where it is loaded by each measurement anew."""
        about, key = runtime_of(runtime), (runtime, threads)
        with self._lock:
            if not about.is_loaded_once or key in self._unfit or self._is_closed:
                return None
            kept = self._kept.get(key)
            if kept is not None and not kept.is_alive:  # killed, from outside or at a time limit
                self._kept.pop(key).close()
                kept = None
            if kept is None:
                kept = self._kept[key] = ForkingProcess(runtime, environment_of(about, threads))
            return kept

    def ready(self, runtime: str, threads: int) -> _Perform | None:
        """What performs orders for a runtime, once its library is loaded; None where each of them loads it."""
        process = self.begin(runtime, threads)
        if process is None or process.can_fork():
            return None if process is None else process.perform
        with self._lock:
            self._unfit.add((runtime, threads))
            if self._kept.pop((runtime, threads), None) is process:
                process.close()
        return None

    def close(self) -> None:
        """End them all, and load none any more."""
        with self._lock:
            self._is_closed = True
            kept, self._kept = self._kept, {}
        for process in kept.values():
            process.close()


def measure_in_child(
    runtime: str,
    import_dir: Path,
    measure: Mapping[str, Any],
    place: MeasuringPlace,
    threshold: float | None,
    kernel: SentinelKernel | None = None,
    point: ProfilePoint = USUAL_POINT,
    loaded: _Perform | None = None,
) -> dict[str, Any]:
    """The result of a measure stage. `loaded`: has its library loaded; memory is observed without it, in a process that
    has held nothing. Raises OutputMismatch, MeasureFailed, MeasureTimeout, WorkerKilled, OutOfMemory,
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
    by = None if point.variable == MEMORY else loaded
    return _answer(about, orders, float(measure["timeout_s"]), by or _started(about, place.threads, _MEASURES))


def answer_of_child(
    about: Runtime, orders: Mapping[str, Any], timeout_s: float, threads: int, module: str = _MEASURES
) -> dict[str, Any]:
    """What a runtime's process answers to orders, its start apart within `timeout_s`.

    Raises what the process raised, MeasureFailed, MeasureTimeout, WorkerKilled.
    """
    return _answer(about, orders, timeout_s, _started(about, threads, module))


def _started(about: Runtime, threads: int, module: str) -> _Perform:
    """A process that is started for its orders, and loads what they take."""

    def perform(orders: Mapping[str, Any], limit_s: float) -> Ended:
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
        return Ended(done.returncode, done.stdout, done.stderr)

    return perform


def _answer(about: Runtime, orders: Mapping[str, Any], timeout_s: float, perform: _Perform) -> dict[str, Any]:
    limit_s = timeout_s + START_S + about.opening_s
    try:
        ended = perform(orders, limit_s)
    except subprocess.TimeoutExpired as error:
        raise MeasureTimeout(f"{about.title} did not finish within {limit_s:g} s") from error
    try:
        result: dict[str, Any] = json.loads(ended.said)
    except json.JSONDecodeError as error:
        if (outside := killed_by(ended.code)) is not None:
            told = f"{about.title}'s process was killed with {outside}: from outside, or for want of memory"
            raise WorkerKilled(told) from error
        tail = (ended.complained.strip().splitlines() or ["no message"])[-1]
        raise MeasureFailed(f"{about.title}'s process ended with {ended.code}: {tail[:300]}") from error
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
