"""Lanes: one call at a time, and who is next where several kinds wait."""

from __future__ import annotations

import math
from concurrent.futures import Future
from threading import Event, Thread

import pytest

from sweep.engine.queues import FairQueue
from tests.devices.parts import until

SHARES = {"urgent": math.inf, "candidate": 2.0, "visit": 1.0}


class Clock:
    """Time that passes only where a call says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def spend(self, seconds: float) -> None:
        self.now_s += seconds


class Board:
    """A lane that is kept busy until all that is to wait has come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.order = Clock(), list[str]()
        monkeypatch.setattr("sweep.engine.queues.time", self.clock)
        self.lane = FairQueue("board", SHARES)
        self.let_go = Event()
        self.first = self.lane.submit("visit", self.let_go.wait)

    def call(self, kind: str, seconds: float) -> Future[None]:
        return self.lane.submit(kind, self._spend, kind, seconds)

    def call_now(self, kind: str, seconds: float) -> None:
        """Within another call."""
        self._spend(kind, seconds)

    def _spend(self, kind: str, seconds: float) -> None:
        self.order.append(kind[0])
        self.clock.spend(seconds)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(monkeypatch)


def test_kinds_that_wait_get_the_time_by_their_shares_and_the_rest_what_is_left(board: Board) -> None:
    calls = [board.call("visit", 1.0) for _ in range(4)] + [board.call("candidate", 0.25) for _ in range(32)]
    board.let_go.set()
    for call in calls:
        call.result(timeout=60)
    assert "".join(board.order) == "c" + 3 * ("v" + 8 * "c") + "v" + 7 * "c"


def test_who_did_not_wait_has_saved_nothing_up(board: Board) -> None:
    board.let_go.set()
    board.call("visit", 100.0).result(timeout=60)
    board.let_go.clear()
    board.lane.submit("visit", board.let_go.wait)
    calls = [board.call("candidate", 1.0) for _ in range(8)] + [board.call("visit", 2.0) for _ in range(2)]
    board.let_go.set()
    for call in calls:
        call.result(timeout=60)
    assert board.order[1:].index("v") <= 5


def test_nobody_is_charged_for_what_it_waits_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices with a core in common: a candidate waits for the other device's visit."""
    board, waited_s = Board(monkeypatch), [0.0]
    board.lane = FairQueue("board", SHARES, lambda: waited_s[0])
    board.first = board.lane.submit("visit", board.let_go.wait)

    def wait() -> None:
        waited_s[0] += 5.0
        board.clock.spend(5.0)
        board.call_now("candidate", 0.25)

    calls = [board.call("visit", 1.0) for _ in range(2)] + [board.lane.submit("candidate", wait) for _ in range(12)]
    board.let_go.set()
    for call in calls:
        call.result(timeout=60)
    assert "".join(board.order) == "c" + "v" + 8 * "c" + "v" + 3 * "c"


def test_a_kind_that_is_expected_is_waited_for_where_it_would_be_next(board: Board) -> None:
    """Its call comes while nothing else is let on the board."""
    board.lane.expect("candidate", 3.0)
    visit = board.call("visit", 1.0)
    board.let_go.set()
    board.first.result(timeout=60)
    board.call("candidate", 0.25).result(timeout=60)
    board.lane.expect("candidate", 0.0)
    visit.result(timeout=60)
    assert board.order == ["c", "v"]


def test_a_kind_that_is_expected_and_does_not_come_is_charged_for_the_wait() -> None:
    with_time = FairQueue("board", SHARES)
    with_time.expect("candidate", 0.05)
    order: list[str] = []
    visit = with_time.submit("visit", order.append, "v")
    visit.result(timeout=60)
    assert order == ["v"]
    assert with_time._used_s["candidate"] > 0.0
    with_time.close()


def test_a_kind_whose_share_is_infinite_goes_before_all_others_and_is_waited_for(board: Board) -> None:
    for _ in range(2):
        board.call("visit", 1.0)
        board.call("candidate", 1.0)
    calls = [board.call("urgent", 5.0), board.call("visit", 0.0)]
    board.lane.expect("candidate", 1e6)
    board.lane.expect("urgent", 1e6)
    board.let_go.set()
    until(lambda: board.order == ["u"], "the urgent call")  # and all wait for the next one
    board.call("urgent", 5.0)
    until(lambda: board.order == ["u", "u"], "the next one")
    board.lane.expect("urgent", 0.0)
    board.lane.expect("candidate", 0.0)
    for call in calls:
        call.result(timeout=60)
    assert board.order[2:4] == ["c", "v"]


def test_what_a_call_raises_is_raised_by_its_answer_and_the_lane_goes_on(board: Board) -> None:
    def fail() -> None:
        raise ValueError("no")

    failed, after = board.lane.submit("candidate", fail), board.call("candidate", 1.0)
    board.let_go.set()
    with pytest.raises(ValueError, match="no"):
        failed.result(timeout=60)
    after.result(timeout=60)
    assert board.lane.is_idle


def test_closing_lets_the_running_call_end_and_drops_the_rest(board: Board) -> None:
    waiting = board.call("candidate", 1.0)
    assert not board.lane.is_idle
    closing = Thread(target=board.lane.close)
    closing.start()
    until(waiting.cancelled, "what waits is dropped")
    seen = waiting.cancelled(), board.first.done()
    board.let_go.set()
    closing.join(timeout=60)
    assert seen == (True, False)
    assert board.first.result(timeout=0)
    assert board.order == []
    assert board.lane.is_idle
