"""A runtime's process, `python -m sweep.devices.runtimes.child`: orders on stdin, the result on stdout.

A process of its own, so that it can be pinned to a device's cores, killed at its time limit, and its memory told from
that of whoever asked. The same for every runtime that opens networks itself; which one, the orders say by name.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sweep.devices.measuring import conditions
from sweep.devices.measuring.blocks import MeasuringPlace, TimingTarget, measure_blocks
from sweep.devices.measuring.cache_flush import flush_bytes, flusher
from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, local_timer
from sweep.devices.measuring.timing import Clock, Sampling
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.artifact import load_expected_output, load_output_facts
from sweep.errors import MeasureFailed, StudyError, SweepError, in_one_line
from sweep.files.npz import load_arrays
from sweep.study.runtimes import Runtime, Session, SessionRequest, runtime_of

__all__ = ["blamed_on", "clock_of", "measure", "named_runtime", "timed_calls"]


def main() -> None:
    """Carry out the orders; an error of the tree is an answer too."""
    orders = json.load(sys.stdin)
    die_with_parent(orders["parent_pid"])
    # Before the runtime starts its threads: they inherit it.
    os.sched_setaffinity(0, orders["place"]["cores"])
    # The answer alone goes to standard output; what libraries print there goes to standard error.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        result = measure(orders)
    except SweepError as error:
        result = {"error_class": type(error).__name__, "error": str(error)}
    json.dump(result, answer)
    answer.close()


def measure(orders: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a measure stage for the runtime that the orders name. Raises OutputMismatch, MeasureFailed."""
    import numpy as np

    runtime, import_dir = named_runtime(orders["runtime"]), Path(orders["import_dir"])
    sampling = Sampling.of(orders["measure"])
    place = MeasuringPlace(**orders["place"] | {"cores": tuple(orders["place"]["cores"])})
    kernel = orders["kernel"] and SentinelKernel(Path(orders["kernel"]["lib"]), orders["kernel"]["args"])
    inputs = load_arrays(import_dir / "inputs.npz")
    idle_bytes = conditions.reset_peak()
    if (missing := runtime.missing()) is not None:
        raise MeasureFailed(f"{runtime.title}: {missing}")
    with blamed_on(runtime):
        session = runtime.open(SessionRequest(import_dir, place.threads, place.cores))
    with closing(session):
        end_t = time.monotonic() + sampling.timeout_s  # from here on: what opens it may compile for minutes
        with blamed_on(runtime):
            conditions.reset_peak()
            outputs = [np.asarray(output) for output in session.run(inputs)]
            memory_bytes = session.memory_bytes() or _grown_by(idle_bytes, conditions.peak_bytes())
        expected = load_expected_output(import_dir)
        facts = load_output_facts(import_dir, of_runtime=True)
        check = None if expected is None else check_outputs(outputs, expected, orders["threshold"], facts)
        flushed = flush_bytes(conditions.observe()["cache_bytes"]) if sampling.cache_flush else 0
        target = TimingTarget(
            clock=clock_of(session, runtime, inputs, flusher(flushed)),
            time_kernel=local_timer(kernel),
            observe=conditions.observe,
            extra={"runtime_threads": None, **session.conditions(), "cache_flush_bytes": flushed},
        )
        return {
            **measure_blocks(target, sampling, place, lambda: end_t - time.monotonic()),
            "output_max_abs_diff": None if check is None else check.max_abs_diff,
            "output_cosine_distance": None if check is None else check.cosine_distance,
            "peak_memory_bytes": memory_bytes,
            "runtime_version": session.version,
        }


def timed_calls(call: Callable[[], object], flush: Callable[[], None]) -> Clock:
    """As TVM's evaluator does it: a call that is not timed, then the repeats, the caches flushed before each."""

    def clock(number: int, repeat: int) -> list[float]:
        call()
        means = []
        for _ in range(repeat):
            flush()
            began = time.perf_counter()
            for _ in range(number):
                call()
            means.append((time.perf_counter() - began) / number)
        return means

    return clock


def clock_of(session: Session, runtime: Runtime, inputs: Mapping[str, Any], flush: Callable[[], None]) -> Clock:
    """The session's own clock, or calls that are timed from outside; what it raises is blamed on the runtime."""
    clock = session.clock(inputs, flush) or timed_calls(lambda: session.run(inputs), flush)

    def blamed(number: int, repeat: int) -> list[float]:
        with blamed_on(runtime):
            return clock(number, repeat)

    return blamed


def named_runtime(name: str) -> Runtime:
    """The runtime of a name. Raises MeasureFailed where this process does not find it."""
    try:
        return runtime_of(name)
    except StudyError as error:  # found where the study was read, and not by this interpreter
        raise MeasureFailed(f"runtime {error}") from error


@contextmanager
def blamed_on(runtime: Runtime) -> Iterator[None]:
    """Exceptions of a runtime, whose classes have nothing in common, as MeasureFailed with the runtime's title."""
    try:
        yield
    except SweepError:
        raise
    except Exception as error:
        raise MeasureFailed(f"{runtime.title}: {in_one_line(error)}") from error


def _grown_by(idle_bytes: int | None, peak_bytes: int | None) -> int | None:
    return max(0, peak_bytes - idle_bytes) if peak_bytes and idle_bytes else None


if __name__ == "__main__":
    main()
