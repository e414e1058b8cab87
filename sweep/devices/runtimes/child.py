"""A runtime's process, `python -m sweep.devices.runtimes.child`: orders on stdin, the result on stdout.

A process of its own, so that it can be pinned to a device's cores, killed at its time limit, and its memory told from
that of whoever asked. The same for every runtime that opens networks itself; which one, the orders say by name. Where a
runtime's library is loaded once (`forking`), such a process is forked and has its orders already.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sweep.devices.measuring import conditions
from sweep.devices.measuring.blocks import MeasuringPlace, TimingTarget, measure_blocks
from sweep.devices.measuring.cache_flush import flush_bytes, flusher
from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.measuring.point_limits import GiveUp, PointLimits, check_time
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, local_timer
from sweep.devices.measuring.timing import Sampling
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.artifact import load_expected_output, load_output_facts
from sweep.devices.runtimes.memory_point import observe_memory
from sweep.devices.runtimes.opening import blamed_on, clock_of, named_runtime, open_session
from sweep.errors import SweepError
from sweep.files.npz import load_arrays
from sweep.study.profile_options import MEMORY, TRAINING
from sweep.study.runtimes import Runtime, SessionRequest

__all__ = ["measure", "perform"]


def main() -> None:
    """Carry out what comes on standard input."""
    orders = json.load(sys.stdin)
    die_with_parent(orders["parent_pid"])
    perform(orders)


def perform(orders: Mapping[str, Any]) -> None:
    """Carry out the orders, and answer on standard output; an error of the tree is an answer too."""
    # Before the runtime starts its threads: they inherit it.
    os.sched_setaffinity(0, orders["place"]["cores"])
    # The answer alone goes to standard output; what libraries print there goes to standard error.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def give_up(error: SweepError) -> None:
        json.dump(_told(error), answer)
        answer.flush()
        os._exit(0)  # from a thread, while the network runs

    try:
        result = measure(orders, give_up)
    except SweepError as error:
        result = _told(error)
    json.dump(result, answer)
    answer.close()


def measure(orders: Mapping[str, Any], give_up: GiveUp) -> dict[str, Any]:
    """The result of a measure stage for the runtime that the orders name. Raises OutputMismatch, MeasureFailed,
    OutOfMemory, OverTimeLimit.
    """
    runtime, import_dir = named_runtime(orders["runtime"]), Path(orders["import_dir"])
    place = MeasuringPlace(**orders["place"] | {"cores": tuple(orders["place"]["cores"])})
    request = SessionRequest(import_dir, place.threads, place.cores)
    inputs = load_arrays(import_dir / "inputs.npz")
    mode, limits = orders["mode"], orders["limits"]
    if orders["variable"] == MEMORY:
        outputs, result = observe_memory(runtime, request, inputs, mode, limits, place, give_up)
        return {**result, **_checked(outputs, import_dir, orders["threshold"])}
    return _time(orders, runtime, request, inputs, place, give_up)


def _time(
    orders: Mapping[str, Any],
    runtime: Runtime,
    request: SessionRequest,
    inputs: Mapping[str, Any],
    place: MeasuringPlace,
    give_up: GiveUp,
) -> dict[str, Any]:
    import numpy as np

    sampling, limits = Sampling.of(orders["measure"]), orders["limits"]
    kernel = orders["kernel"] and SentinelKernel(Path(orders["kernel"]["lib"]), orders["kernel"]["args"])
    idle_bytes = conditions.reset_peak()
    with closing(open_session(runtime, request, orders["mode"])) as session:
        end_t = time.monotonic() + sampling.timeout_s  # from here on: what opens it may compile for minutes
        conditions.reset_peak()
        with PointLimits(limits, None, give_up):
            began = time.monotonic()
            with blamed_on(runtime):
                outputs = [np.asarray(output) for output in session.run(inputs)]
            check_time(time.monotonic() - began, limits)
        if orders["mode"] == TRAINING:
            with PointLimits(limits, None, give_up, calls=2):  # the clock makes one before the one that it times
                check_time(clock_of(session, runtime, inputs, lambda: None)(1, 1)[0], limits)
        memory_bytes = session.memory_bytes() or _grown_by(idle_bytes, conditions.peak_bytes())
        checked = _checked(outputs, request.import_dir, orders["threshold"])
        flushed = flush_bytes(conditions.observe()["cache_bytes"]) if sampling.cache_flush else 0
        target = TimingTarget(
            clock=clock_of(session, runtime, inputs, flusher(flushed)),
            time_kernel=local_timer(kernel),
            observe=conditions.observe,
            extra={"runtime_threads": None, **session.conditions(), "cache_flush_bytes": flushed},
        )
        return {
            **measure_blocks(target, sampling, place, lambda: end_t - time.monotonic()),
            **checked,
            "peak_memory_bytes": memory_bytes,
            "runtime_version": session.version,
        }


def _checked(outputs: Sequence[Any], import_dir: Path, threshold: float | None) -> dict[str, float | None]:
    expected = load_expected_output(import_dir)
    facts = load_output_facts(import_dir, of_runtime=True)
    check = None if expected is None else check_outputs(outputs, expected, threshold, facts)
    return {
        "output_max_abs_diff": None if check is None else check.max_abs_diff,
        "output_cosine_distance": None if check is None else check.cosine_distance,
    }


def _told(error: SweepError) -> dict[str, Any]:
    return {"error_class": type(error).__name__, "error": str(error)}


def _grown_by(idle_bytes: int | None, peak_bytes: int | None) -> int | None:
    return max(0, peak_bytes - idle_bytes) if peak_bytes and idle_bytes else None


if __name__ == "__main__":
    main()
