"""ONNX Runtime's process, `python -m sweep.devices.runtimes.onnxruntime_child`: orders on stdin, the result on stdout.

A process of its own, so that it can be pinned to a device's cores, killed at its time limit, and its memory told from
that of whoever asked.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.devices.measuring import conditions
from sweep.devices.measuring.blocks import MeasuringPlace, TimingTarget, measure_blocks
from sweep.devices.measuring.cache_flush import flush_bytes, flusher
from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, local_timer
from sweep.devices.measuring.timing import Clock, Sampling
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.artifact import load_reference
from sweep.errors import MeasureFailed, SweepError, in_one_line


def main() -> None:
    """Carry out the orders; an error of the tree is an answer too."""
    orders = json.load(sys.stdin)
    die_with_parent(orders["parent_pid"])
    # Before ONNX Runtime starts its threads: they inherit it.
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
    """The result of a measure stage for ONNX Runtime. Raises OutputMismatch, MeasureFailed."""
    import numpy as np
    import onnxruntime

    import_dir, sampling = Path(orders["import_dir"]), Sampling.of(orders["measure"])
    place = MeasuringPlace(**orders["place"] | {"cores": tuple(orders["place"]["cores"])})
    kernel = orders["kernel"] and SentinelKernel(Path(orders["kernel"]["lib"]), orders["kernel"]["args"])
    end_t = time.monotonic() + sampling.timeout_s
    with np.load(import_dir / "inputs.npz") as stored:
        inputs = {name: stored[name] for name in stored.files}
    idle_bytes = conditions.reset_peak()
    try:
        session = _session(import_dir / "model.onnx", place.threads, len(place.cores))
        conditions.reset_peak()
        outputs = session.run(None, inputs)
    except Exception as error:  # its exceptions have no common class but this one
        raise MeasureFailed(f"ONNX Runtime: {in_one_line(error)}") from error
    peak_bytes = conditions.peak_bytes()
    reference = load_reference(import_dir)
    agreement = None if reference is None else check_outputs(outputs, reference, orders["threshold"])
    flushed = flush_bytes(conditions.observe()["cache_bytes"]) if sampling.cache_flush else 0
    apparatus = TimingTarget(
        clock=_clock(lambda: session.run(None, inputs), flusher(flushed)),
        time_kernel=local_timer(kernel),
        observe=conditions.observe,
        extra={
            "runtime_threads": session.get_session_options().intra_op_num_threads,
            "cache_flush_bytes": flushed,
        },
    )
    return {
        **measure_blocks(apparatus, sampling, place, lambda: end_t - time.monotonic()),
        "output_max_abs_diff": None if agreement is None else agreement.max_abs_diff,
        "output_cosine_distance": None if agreement is None else agreement.cosine_distance,
        "peak_memory_bytes": max(0, peak_bytes - idle_bytes) if peak_bytes and idle_bytes else None,
        "runtime_version": str(onnxruntime.__version__),
    }


def _session(model: Path, threads: int, cores: int) -> Any:
    """A rival at its best: all graph optimisations, and threads that spin between operators where each has its core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads <= cores else "0")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _clock(call: Callable[[], object], flush: Callable[[], None]) -> Clock:
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


if __name__ == "__main__":
    main()
