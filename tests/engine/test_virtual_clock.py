"""The clock of engines that pretend."""

from __future__ import annotations

import itertools

import pytest

from sweep.engine.virtual_clock import VirtualClock
from sweep.planning.stage import Stage
from sweep.running.contract import Attempt


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_an_end_that_comes_while_it_looks_is_not_waited_for(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 0.6)  # each look is later
    slept: list[float] = []
    monkeypatch.setattr("sweep.engine.virtual_clock.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sweep.engine.virtual_clock.time.sleep", slept.append)
    agenda = VirtualClock(speed=1)
    attempt = Attempt(Stage("s", "measure", {}, {}, (), "measure it"), 1, {})
    agenda.add(attempt, seconds)
    assert agenda.ended(timeout_s=5.0) == [(attempt, seconds)]
    assert min(slept, default=0.0) >= 0
