"""ONNX Runtime's process, `python -m sweep.devices.onnxruntime_child`: orders on stdin, the result on stdout.

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

from sweep.devices import conditions
from sweep.devices.agreement import check_outputs
from sweep.devices.artifact import load_reference
from sweep.devices.processes import die_with_parent
from sweep.devices.timing import Sampling, sample
from sweep.errors import MeasureFailed, SweepError


def main() -> None:
    """Carry out the orders; an error of the tree is an answer too."""
    orders = json.load(sys.stdin)
    die_with_parent(orders["parent_pid"])
    # Before ONNX Runtime starts its threads: they inherit it.
    os.sched_setaffinity(0, orders["cores"])
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
    with np.load(import_dir / "inputs.npz") as stored:
        inputs = {name: stored[name] for name in stored.files}
    before, idle_bytes = conditions.observe(), conditions.reset_peak()
    try:
        session = _session(import_dir / "model.onnx", orders["threads"], len(orders["cores"]))
        conditions.reset_peak()
        outputs = session.run(None, inputs)
    except Exception as error:  # its exceptions have no common class but this one
        raise MeasureFailed(f"ONNX Runtime: {' '.join(str(error).split())[:300]}") from error
    peak_bytes = conditions.peak_bytes()
    reference = load_reference(import_dir)
    agreement = None if reference is None else check_outputs(outputs, reference, orders["threshold"])
    timing = sample(_clock(lambda: session.run(None, inputs)), sampling)
    return {
        "run_secs": timing.run_secs,
        "number": timing.number,
        "warmup_secs": timing.warmup_secs,
        "stopped_by": timing.stopped_by,
        "output_max_abs_diff": None if agreement is None else agreement.max_abs_diff,
        "output_cosine_distance": None if agreement is None else agreement.cosine_distance,
        "conditions": conditions.merge(before, conditions.observe(), orders["threads"]),
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


def _clock(call: Callable[[], object]) -> Callable[[int, int], list[float]]:
    def clock(number: int, repeat: int) -> list[float]:
        means = []
        for _ in range(repeat):
            began = time.perf_counter()
            for _ in range(number):
                call()
            means.append((time.perf_counter() - began) / number)
        return means

    return clock


if __name__ == "__main__":
    main()
