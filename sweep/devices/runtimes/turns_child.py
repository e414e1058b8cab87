"""A runtime's process in a final, `python -m sweep.devices.runtimes.turns_child RUNTIME`: it times a network on demand.

It loads the library first, on the cores on which it is started, where that starts no thread. The first line on stdin is
the orders, the first line of the answer says that the network is loaded and its outputs hold; from then on each line
asks for the seconds of a slot or for the conditions, and the end of stdin is the end.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TextIO

from sweep.devices.measuring import conditions
from sweep.devices.measuring.cache_flush import flush_bytes, flusher
from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.artifact import load_expected_output, load_output_facts
from sweep.devices.runtimes.opening import blamed_on, clock_of, named_runtime, open_session
from sweep.errors import SweepError
from sweep.files.npz import load_arrays
from sweep.study.profile_options import INFERENCE
from sweep.study.runtimes import SessionRequest

__all__ = ["carry_out", "say"]


def carry_out(serve: Callable[[Mapping[str, Any], TextIO], None]) -> None:
    """Read the orders and serve by them on their cores, while the parent lives; an error of the tree is an answer too.

    serve: takes the orders and where answers go.
    """
    orders = json.loads(sys.stdin.readline())
    die_with_parent(orders["parent_pid"])
    os.sched_setaffinity(0, orders["cores"])  # before the runtime starts its threads: they inherit it
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    try:
        serve(orders, answers)
    except SweepError as error:
        say(answers, {"error_class": type(error).__name__, "error": str(error)})


def _get_ready(runtime: str) -> None:
    """Load what needs no network, while the heat before is under way."""
    importlib.import_module("numpy")
    about = named_runtime(runtime)
    if about.is_loaded_once:
        about.warm_up()


def _serve(orders: Mapping[str, Any], answers: TextIO) -> None:
    import numpy as np

    runtime, import_dir = named_runtime(orders["runtime"]), Path(orders["import_dir"])
    inputs = load_arrays(import_dir / "inputs.npz")
    request = SessionRequest(import_dir, orders["threads"], tuple(orders["cores"]))
    with closing(open_session(runtime, request, INFERENCE)) as session:
        with blamed_on(runtime):
            outputs = [np.asarray(output) for output in session.run(inputs)]
        expected = load_expected_output(import_dir)
        if expected is not None:
            check_outputs(outputs, expected, orders["threshold"], load_output_facts(import_dir, of_runtime=True))
        flushed = flush_bytes(conditions.observe()["cache_bytes"]) if orders["cache_flush"] else 0
        clock = clock_of(session, runtime, inputs, flusher(flushed))
        say(answers, {"is_flushed": bool(flushed)})
        for line in sys.stdin:
            asked = json.loads(line)
            if "number" in asked:
                say(answers, {"run_secs": clock(asked["number"], asked["repeat"])})
            else:
                say(answers, {"runtime_threads": None, **conditions.observe(), **session.conditions()})


def say(answers: TextIO, what: Mapping[str, Any]) -> None:
    """Answer in a line."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    with suppress(Exception):  # whoever asks for the network is told
        _get_ready(sys.argv[1])
    carry_out(_serve)
