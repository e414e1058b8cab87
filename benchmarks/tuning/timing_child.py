"""Times one built model on one core: `python -m benchmarks.tuning.timing_child`, orders on stdin, the answer on stdout.

The output is compared with the reference first; then the same sampling as in a sweep, without RPC.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.measuring.timing import Sampling, sample
from sweep.devices.runtimes.artifact import load_expected_output
from sweep.errors import SweepError

__all__ = ["measure"]


def measure(orders: Mapping[str, Any]) -> dict[str, Any]:
    """`run_secs` and the distance from the reference; `error` when the answer is wrong."""
    import numpy as np
    import tvm

    import_dir, device = Path(orders["import_dir"]), tvm.cpu()
    with np.load(import_dir / "inputs.npz") as stored:
        inputs = [tvm.runtime.tensor(stored[name], device) for name in stored.files]
    machine = tvm.relax.VirtualMachine(tvm.runtime.load_module(orders["lib"]), device)
    machine.set_input("main", *inputs)
    machine.invoke_stateful("main")
    answered = machine.get_outputs("main")
    outputs = [tensor.numpy() for tensor in (answered if isinstance(answered, list | tuple) else [answered])]
    try:
        agreement = check_outputs(outputs, load_expected_output(import_dir) or [], orders["threshold"])
    except SweepError as error:
        return {"error": str(error)}

    def clock(number: int, repeat: int) -> list[float]:
        evaluator = machine.time_evaluator("invoke_stateful", device, number=number, repeat=repeat)
        return [float(value) for value in evaluator("main").results]

    timing = sample(clock, Sampling.of(orders["measure"]))
    return {"run_secs": timing.run_secs, "number": timing.number, "max_abs_diff": agreement.max_abs_diff}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    os.sched_setaffinity(0, [asked["core"]])  # before TVM starts its threads: they inherit it
    json.dump(measure(asked), sys.stdout)
