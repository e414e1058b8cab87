"""A network in a process of its own that runs beside another, `python -m sweep.devices.side_by_side.partner_child`.

The first line on stdin is the orders, the first line of the answer says that the network is loaded and its outputs
hold. From then on each line asks for something, and the end of stdin is the end:

- `number`, `repeat`: so many values of so many calls, alone;
- `place`: go to these cores, and say where it runs after a call;
- `slot`, `place`: on these cores, so many calls beside another network: it says that it is ready, is told at what time
  to begin, says what it took, and goes on calling until it is told to rest, lest the other one ends its slot alone;
- `observe`: the conditions.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from sweep.devices.measuring import conditions
from sweep.devices.measuring.cache_flush import flush_bytes, flusher
from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.measuring.timing import Clock
from sweep.devices.runtimes.artifact import load_artifact, load_expected_output, load_output_facts
from sweep.devices.runtimes.opening import blamed_on, clock_of, named_runtime, open_session
from sweep.devices.runtimes.turns_child import carry_out, say
from sweep.devices.side_by_side.compiled_session import CompiledSession
from sweep.errors import MeasureFailed
from sweep.files.npz import load_arrays
from sweep.study.profile_options import INFERENCE
from sweep.study.runtimes import Runtime, Session, SessionRequest

_SHARE = 20
"""Of a slot's calls: so many are made at a time after it, before the next look whether to rest."""


class _Beginning:
    """What the session's clock calls right before the calls that it times: there a slot waits for the other one's."""

    def __init__(self, answers: TextIO, flush: Callable[[], None]) -> None:
        self.was_called = self.is_beside = False
        self._answers, self._flush = answers, flush

    def __call__(self) -> None:
        self.was_called = True
        self._flush()
        if not self.is_beside:
            return
        self.is_beside = False
        say(self._answers, {"is_ready": True})
        told = sys.stdin.readline()
        if not told:
            os._exit(1)  # whoever asked is gone
        at_s = json.loads(told)["at_s"]
        while time.monotonic() < at_s:
            pass


def _serve(orders: Mapping[str, Any], answers: TextIO) -> None:
    runtime = named_runtime(orders["runtime"])
    inputs = load_arrays(Path(orders["import_dir"]) / "inputs.npz")
    with _opened(runtime, orders, inputs) as session:
        flushed = flush_bytes(conditions.observe()["cache_bytes"]) if orders["cache_flush"] else 0
        beginning = _Beginning(answers, flusher(flushed))
        clock = clock_of(session, runtime, inputs, beginning)
        say(answers, {"is_flushed": bool(flushed)})
        for line in iter(sys.stdin.readline, ""):
            asked = json.loads(line)
            if "slot" in asked:
                _move(asked["place"])
                _take_slot(clock, asked["slot"], beginning, answers)
            elif "place" in asked:
                _move(asked["place"])
                clock(1, 1)
                if not beginning.was_called:
                    raise MeasureFailed(f"{runtime.title} does not say when its clock begins, so nothing waits for it")
                say(answers, {"place": conditions.thread_cores()})
            elif "number" in asked:
                say(answers, {"run_secs": clock(asked["number"], asked["repeat"])})
            else:
                say(answers, {"runtime_threads": None, **conditions.observe(), **session.conditions()})


@contextmanager
def _opened(runtime: Runtime, orders: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[Session]:
    """The network of the orders, its outputs checked."""
    import numpy as np

    import_dir = Path(orders["import_dir"])
    if orders["artifact_dir"] is None:
        request = SessionRequest(import_dir, orders["threads"], tuple(orders["cores"]))
        session = open_session(runtime, request, INFERENCE)
        expected, facts = load_expected_output(import_dir), load_output_facts(import_dir, of_runtime=True)
    else:
        artifact = load_artifact(Path(orders["artifact_dir"]), import_dir)
        with blamed_on(runtime):
            session = CompiledSession(artifact)
        expected, facts = artifact.expected, artifact.facts
    with closing(session):
        with blamed_on(runtime):
            outputs = [np.asarray(output) for output in session.run(inputs)]
        if expected is not None:
            check_outputs(outputs, expected, orders["threshold"], facts)
        yield session


def _take_slot(clock: Clock, number: int, beginning: _Beginning, answers: TextIO) -> None:
    beginning.is_beside = True
    (seconds,) = clock(number, 1)
    say(answers, {"seconds": seconds, "place": conditions.thread_cores()})
    while not select.select([sys.stdin], [], [], 0)[0]:
        clock(max(1, number // _SHARE), 1)
    sys.stdin.readline()


def _move(cores: Iterable[int]) -> None:
    """All threads of this process; later ones inherit it."""
    wanted = set(cores)
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), wanted)


if __name__ == "__main__":
    carry_out(_serve)
