"""The limits of a point hold for each call of a network, not for all that are made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep.devices.measuring import point_limits
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes import memory_point
from sweep.devices.runtimes.memory_point import observe_memory
from sweep.errors import OutOfMemory, OverTimeLimit, SweepError
from sweep.study.runtimes import Runtime, Session, SessionRequest
from tests.devices.parts import until

LIMIT_S = 10.0
PLACE = MeasuringPlace(cores=(min(os.sched_getaffinity(0)),), threads=1, best_kernel_s=None)


class Clock:
    """Time that passes only where a call says so, and how often it was looked at."""

    def __init__(self) -> None:
        self.now_s, self.looks = 0.0, 0

    def monotonic(self) -> float:
        self.looks += 1
        return self.now_s


class Calls(Session):
    """A network whose calls take this long each, one after another; whoever watches looks within each."""

    version = "1"

    def __init__(self, seconds: Sequence[float], clock: Clock, told: list[SweepError]) -> None:
        self._seconds, self._clock, self._told = list(seconds), clock, told

    def run(self, inputs: Mapping[str, Any]) -> Sequence[Any]:
        self._clock.now_s += self._seconds.pop(0)
        looks = self._clock.looks
        until(lambda: self._clock.looks > looks + 1 or bool(self._told), "a look at the time")
        return []

    def memory_bytes(self) -> int:
        return 12345


Observe = Callable[..., tuple[list[SweepError], Mapping[str, Any]]]


@pytest.fixture
def observe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Observe:
    clock = Clock()
    monkeypatch.setattr(point_limits, "time", clock)
    monkeypatch.setattr(memory_point, "time", clock)

    def observe(*seconds: float, **limits: float) -> tuple[list[SweepError], Mapping[str, Any]]:
        told: list[SweepError] = []
        runtime = Runtime("slow", "Slow", (), open=lambda request: Calls(seconds, clock, told))
        request, limits = SessionRequest(tmp_path, 1, PLACE.cores), {"time_limit_s": LIMIT_S, **limits}
        _, result = observe_memory(runtime, request, {}, "inference", limits, PLACE, told.append)
        return told, result

    return observe


def test_calls_that_each_keep_to_their_time_are_not_given_up(observe: Observe) -> None:
    told, _ = observe(*[0.6 * LIMIT_S] * 3)
    assert told == []


def test_a_first_call_that_does_not_is(observe: Observe) -> None:
    with pytest.raises(OverTimeLimit, match="a call takes more than 10 s, the profile's time_limit_s"):
        observe(1.1 * LIMIT_S)


def test_a_runtime_that_knows_its_memory_is_believed_and_held_to_its_limit(observe: Observe) -> None:
    _, result = observe(0.0, 0.0, 0.0)
    assert (result["peak_memory_bytes"], result["peak_memory_method"]) == (12345, "runtime")
    with pytest.raises(OutOfMemory, match="memory_limit_bytes are 12000"):
        observe(0.0, 0.0, 0.0, memory_limit_bytes=12000.0)
