"""The processes of a final's heats: the next heat's load while the rounds of this one are taken, on other cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.devices.runtimes.duel_on import DuelContender, MeetingInTurns
from tests.devices.parts import LAST_CORE
from tests.processes import command_of

pytestmark = [pytest.mark.integration]

CHILD = "sweep.devices.runtimes.turns_child"
MEASURE = {"repeat": 3, "min_repeat_ms": 0.0, "warmup": 1, "number": 2, "timeout_s": 60.0}
NO_BOARD: Any = None
"""Nothing that is compiled takes part."""


def children() -> list[psutil.Process]:
    below = psutil.Process().children()
    return [process for process in below if CHILD in command_of(process)]


@pytest.fixture
def contenders(network: tuple[Path, Path]) -> Sequence[DuelContender]:
    """Twice the same, as two cells are that have one import."""
    return [DuelContender("onnxruntime", None, network[1], MEASURE, 1, 1e-3) for _ in range(2)]


def test_the_next_heat_takes_what_has_loaded_on_other_cores(contenders: Sequence[DuelContender]) -> None:
    others = tuple(sorted(os.sched_getaffinity(0) - {LAST_CORE}))
    if not others:
        pytest.skip("one core: nothing loads beside what is measured")
    with closing(MeetingInTurns((LAST_CORE,), 60.0, others)) as meeting:
        with ExitStack() as heat:
            loaded = [wait() for wait in meeting.begin(NO_BOARD, dict(enumerate(contenders)), heat).values()]
            now = {process.pid for process in children()}
            meeting.begin_next(contenders[:1])
            (ahead,) = [process for process in children() if process.pid not in now]
            assert tuple(ahead.cpu_affinity()) == others
            assert all(len(one.contestant.clock(1, 1)) == 1 for one in loaded)
        assert [process.pid for process in children()] == [ahead.pid], "the others have ended with their heat"
        with ExitStack() as heat:
            begun = meeting.begin(NO_BOARD, dict(enumerate(contenders)), heat)
            assert len(children()) == 2
            assert ahead.pid in {process.pid for process in children()}
            assert [wait().contestant.clock(1, 1)[0] > 0 for wait in begun.values()] == [True, True]
            assert ahead.cpu_affinity() == [LAST_CORE], "where it is told what to load"
            meeting.begin_next(contenders)
        assert len(children()) == 2
    assert not children(), "no other heat came"


def test_nothing_loads_beside_where_devices_have_all_cores(contenders: Sequence[DuelContender]) -> None:
    with closing(MeetingInTurns((LAST_CORE,), 60.0)) as meeting:
        meeting.begin_next(contenders)
        assert not children()
