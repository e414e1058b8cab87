"""What waits until a first network is tuned, and until when."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sweep.planning.stage import Plan
from sweep.running.contract import needs_of
from sweep.running.events import AttemptFailed, Event, NetworkTimed, StageDone, StageState, Start, Stop, Tick
from sweep.running.first_answer import MOST_S, FirstAnswer, first_answer
from sweep.running.machine import Machine
from sweep.running.options import RunOptions
from tests.running.plans import plan_of, stage, two_devices

SHARED = {"d0": (1,), "d1": (1,), "far": ()}


def first_of(plan: Plan, done: set[str], cores: Mapping[str, tuple[int, ...]] = SHARED) -> FirstAnswer | None:
    return first_answer(plan, done, cores)


def test_the_first_measurement_and_the_first_tuned_cell_go_on_and_what_takes_their_cores_waits() -> None:
    assert first_of(two_devices(), set()) == FirstAnswer("t", frozenset({"b", "m", "l1", "t1", "bt1", "mt1"}))


def test_what_an_earlier_run_has_done_does_not_wait() -> None:
    assert first_of(two_devices(), {"i", "l", "b", "m"}) == FirstAnswer("t", frozenset({"l1", "t1", "bt1", "mt1"}))


@pytest.mark.parametrize("cores", [{"d0": (1,), "d1": (2,)}, {"d0": (1,), "d1": ()}], ids=["others", "elsewhere"])
def test_a_device_with_cores_of_its_own_does_not_wait(cores: Mapping[str, tuple[int, ...]]) -> None:
    assert first_of(two_devices(), set(), cores) == FirstAnswer("t", frozenset({"b", "m"}))


def test_on_a_board_elsewhere_nothing_waits() -> None:
    assert first_of(two_devices("far"), set(), {"d0": ()}) is None


def test_nothing_waits_where_an_earlier_run_has_tuned_or_nothing_is_tuned() -> None:
    assert first_of(two_devices(), {"i", "l1", "t1"}) is None
    assert first_of(plan_of([stage("i", "import"), stage("m", "measure", "i", device="d0")], ["m"]), set()) is None


@pytest.mark.parametrize(("run_s", "most_s"), [(None, MOST_S), (3600.0, MOST_S), (60.0, 15.0)])
def test_of_a_short_run_they_wait_for_a_quarter(run_s: float | None, most_s: float) -> None:
    first = first_answer(two_devices(), set(), SHARED, run_s)
    assert first is not None
    assert first.most_s == most_s


def machine() -> tuple[Machine, list[str]]:
    """At work on the network that comes first."""
    plan = two_devices()
    options = RunOptions(first=first_of(plan, set()))
    m = Machine(plan, needs=needs_of, capacity={"compile": 2, "tune": 2}, options=options)
    begun = started(m, Tick(0.0)) + started(m, StageDone("i", 1.0)) + started(m, StageDone("l", 2.0))
    return m, begun


def started(m: Machine, event: Event) -> list[str]:
    return [one.stage_id for one in m.handle(event) if isinstance(one, Start)]


def test_what_waits_starts_when_the_network_has_been_timed() -> None:
    m, begun = machine()
    assert begun == ["i", "m0", "l", "t"]
    assert started(m, NetworkTimed("t1", 3.0)) == []
    assert started(m, NetworkTimed("t", 4.0)) == ["b", "l1"]
    assert started(m, NetworkTimed("t", 5.0)) == []
    assert started(m, StageDone("l1", 6.0)) == ["t1"]


@pytest.mark.parametrize(
    "event", [StageDone("t", 9.0), AttemptFailed("t", "TuneFailed", 9.0), Tick(MOST_S)], ids=["done", "failed", "late"]
)
def test_it_waits_no_longer_than_the_stage_takes_or_a_minute_and_a_half(event: Event) -> None:
    m, _ = machine()
    assert started(m, Tick(MOST_S - 1)) == []
    assert {"b", "l1"} & set(started(m, event))


def test_a_run_that_is_stopped_ends_although_something_waits() -> None:
    m, _ = machine()
    m.handle(Stop("no time left", 3.0))
    assert m.state("b") is StageState.SKIPPED
    assert started(m, NetworkTimed("t", 4.0)) == []
