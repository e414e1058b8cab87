"""Observes the memory that a network needs in a runtime: in the process of the runtime, which serves this alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from sweep.devices.measuring import conditions
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.measuring.point_limits import GiveUp, PointLimits, check_memory, check_time
from sweep.devices.measuring.resident_peak import OWN, PeakMemory
from sweep.devices.runtimes.opening import blamed_on, clock_of, open_session
from sweep.study.runtimes import Runtime, SessionRequest

__all__ = ["CALLS", "observe_memory"]

CALLS = 2
"""Calls, or steps of training, after the one whose outputs are compared: what is allocated at the first is kept by
most, and what a second needs beside it is part of the peak."""


def observe_memory(
    runtime: Runtime,
    request: SessionRequest,
    inputs: Mapping[str, Any],
    mode: str,
    limits: Mapping[str, float],
    place: MeasuringPlace,
    give_up: GiveUp,
) -> tuple[list[Any], dict[str, Any]]:
    """The outputs, and the result of a measure stage that observes memory. The memory that loading the network takes
    for a while is no part of the peak, what it keeps is.

    Raises OutOfMemory, OverTimeLimit, MeasureFailed.
    """
    import numpy as np

    with blamed_on(runtime):
        runtime.warm_up()
    memory = PeakMemory()
    with closing(open_session(runtime, request, mode)) as session:
        memory.forget()
        with PointLimits(limits, memory, give_up):
            began = time.monotonic()
            with blamed_on(runtime):
                outputs = [np.asarray(output) for output in session.run(inputs)]
            check_time(time.monotonic() - began, limits)
        with PointLimits(limits, memory, give_up, calls=CALLS):
            check_time(max(clock_of(session, runtime, inputs, lambda: None)(1, CALLS - 1)), limits)
            told_bytes = session.memory_bytes()
            peak_bytes = memory.above_idle() if told_bytes is None else told_bytes
            check_memory(peak_bytes, limits)
        seen = conditions.observe()
        return outputs, {
            "peak_memory_bytes": peak_bytes,
            "peak_memory_method": memory.method if told_bytes is None else OWN,
            "runtime_version": session.version,
            "conditions": {**conditions.merge(seen, seen, place.threads), **session.conditions()},
        }
