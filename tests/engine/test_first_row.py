"""Which cell of a device goes before all others, and until when."""

from __future__ import annotations

import pytest

from sweep.engine.first_row import FIRST_S, FirstRow
from sweep.engine.queues import FairQueue
from tests.engine.test_queues import Clock


def test_the_cell_that_comes_first_does_and_no_other() -> None:
    row = FirstRow()
    assert [row.turns().kind for _ in range(3)] == ["first", "visit", "visit"]


def test_it_does_for_a_while_after_its_first_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("sweep.engine.first_row.time", clock)
    first, queue = FirstRow().turns(), FairQueue("board", {"first": 1.0})

    def perform(seconds: float) -> str:
        clock.spend(seconds)
        return "performed"

    assert first.visit(queue, perform, 100.0) == "performed"  # the first one loads all that it takes
    assert first.kind == "first"
    assert first.visit(queue, perform, FIRST_S - 1) == "performed"
    assert first.kind == "first"
    with pytest.raises(ZeroDivisionError):
        first.visit(queue, lambda: perform(2.0) and 1 / 0)
    assert first.kind == "visit"
    first.end(queue)
    queue.close()
