"""The process of a runtime that answers labelled samples: orders on stdin, the ranked classes on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sweep.devices.measuring.class_scores import ClassAnswers
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.answering.samples_asked import Asked
from sweep.devices.runtimes.opening import blamed_on, named_runtime, open_session
from sweep.errors import SweepError
from sweep.files.npz import load_arrays
from sweep.study.profile_options import USUAL_POINT
from sweep.study.runtimes import SessionRequest

__all__ = ["answers_of"]


def main() -> None:
    """Carry out the orders; an error of the tree is an answer too."""
    orders = json.load(sys.stdin)
    die_with_parent(orders["parent_pid"])
    # Before the runtime starts its threads: they inherit it.
    os.sched_setaffinity(0, orders["cores"])
    # The answer alone goes to standard output; what libraries print there goes to standard error.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        result = answers_of(orders)
    except SweepError as error:
        result = {"error_class": type(error).__name__, "error": str(error)}
    json.dump(result, told)
    told.close()


def answers_of(orders: Mapping[str, Any]) -> dict[str, Any]:
    """The classes that a runtime ranks first for each sample. Raises MeasureFailed."""
    runtime, import_dir, batch = named_runtime(orders["runtime"]), Path(orders["import_dir"]), int(orders["batch"])
    inputs, answers = load_arrays(import_dir / "inputs.npz"), ClassAnswers()
    [(name, samples)] = load_arrays(Path(orders["samples"])).items()
    request = SessionRequest(import_dir, orders["threads"], tuple(orders["cores"]))
    with closing(open_session(runtime, request, USUAL_POINT.mode)) as session:
        for values, count in Asked(samples, batch, name, list(inputs).index(name)).batches():
            with blamed_on(runtime):
                outputs = session.run({**inputs, name: values})
            answers.add(outputs, batch, count)
        return {
            "ranked": answers.ranked,
            "classes": answers.classes,
            "runtime_version": session.version,
            "conditions": dict(session.conditions()),
        }


if __name__ == "__main__":
    main()
