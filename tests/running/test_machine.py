"""The state machine, fed with events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import PlanError
from sweep.planning.stage import Plan, Stage
from sweep.running.contract import needs_of
from sweep.running.events import (
    AttemptFailed,
    CellSettled,
    Drop,
    Finish,
    Skip,
    StageDone,
    StageState,
    Start,
    Stop,
    Tick,
)
from sweep.running.machine import Machine
from sweep.running.policy import RetryPolicy
from tests.running.plans import diamond, plan_of, stage

FINAL = {StageState.DONE, StageState.FAILED, StageState.SKIPPED}


def started(instructions: list[object]) -> list[str]:
    return [i.stage_id for i in instructions if isinstance(i, Start)]


def machine(plan: Plan, **options: object) -> Machine:
    capacity = options.pop("capacity", {"compile": 1, "tune": 1})
    return Machine(plan, needs=needs_of, capacity=capacity, **options)  # type: ignore[arg-type]


def test_starts_what_has_its_inputs_and_a_slot() -> None:
    m = machine(diamond())
    assert started(m.handle(Tick(0.0))) == ["i"]
    assert started(m.handle(StageDone("i", 1.0))) == ["l1"]
    assert started(m.handle(StageDone("l1", 2.0))) == ["l2"]
    assert sorted(started(m.handle(StageDone("l2", 3.0)))) == ["b1", "t2"]


def test_more_slots_start_more() -> None:
    m = machine(diamond(), capacity={"compile": 2, "tune": 1})
    m.handle(Tick(0.0))
    assert started(m.handle(StageDone("i", 1.0))) == ["l1", "l2"]


def test_a_device_measures_one_thing_at_a_time() -> None:
    m = machine(diamond(), done={"i", "l1", "l2", "b1", "t2", "b2", "b3"})
    assert sorted(started(m.handle(Tick(0.0)))) == ["m1", "m4"]
    assert started(m.handle(StageDone("m4", 1.0))) == []
    assert started(m.handle(StageDone("m1", 1.0))) == ["m2"]


def test_done_stages_are_not_started_again_and_their_cells_are_settled_at_once() -> None:
    plan = diamond()
    m = machine(plan, done=set(plan.stages))
    instructions = m.handle(Tick(0.0))
    assert [i for i in instructions if isinstance(i, CellSettled)] == [
        CellSettled(i, StageState.DONE) for i in range(len(plan.cells))
    ]
    assert instructions[-1] == Finish()
    assert started(instructions) == []


def test_what_only_finished_cells_needed_is_not_made_again() -> None:
    """A finished measurement stands, also when the artifact it was made with is gone."""
    m = machine(diamond(), done={"i", "l2", "t2", "b2", "b3", "m1", "m2", "m3", "m4"})
    assert started(m.handle(Tick(0.0))) == []


def test_failure_skips_what_needs_it_and_nothing_else() -> None:
    m = machine(diamond(), done={"i", "l1", "l2"})
    m.handle(Tick(0.0))
    instructions = m.handle(AttemptFailed("t2", "TuneFailed", 1.0))
    assert Skip("b2", "t2") in instructions
    assert CellSettled(1, StageState.SKIPPED) in instructions
    assert m.root_cause("m2") == "t2"
    assert m.state("b3") is not StageState.SKIPPED


def test_a_transient_failure_is_tried_again_after_its_delay() -> None:
    m = machine(diamond(), done={"i", "l1", "l2", "b1", "t2", "b2", "b3"}, policy=RetryPolicy(first_delay_s=2.0))
    m.handle(Tick(0.0))
    assert m.would_retry("m1", "DeviceLost")
    assert started(m.handle(AttemptFailed("m1", "DeviceLost", 10.0))) == ["m2"]
    assert m.next_due_t == 12.0
    m.handle(StageDone("m2", 10.5))
    m.handle(StageDone("m3", 11.0))
    assert started(m.handle(Tick(11.9))) == []
    assert started(m.handle(Tick(12.0))) == ["m1"]


def test_retries_end() -> None:
    m = machine(plan_of([stage("m", "measure", device="d0")], ["m"]), policy=RetryPolicy({"DeviceLost": 3}))
    m.handle(Tick(0.0))
    t = 0.0
    for _ in range(2):
        m.handle(AttemptFailed("m", "DeviceLost", t))
        t += 100.0
        assert started(m.handle(Tick(t))) == ["m"]
    assert not m.would_retry("m", "DeviceLost")
    assert m.handle(AttemptFailed("m", "DeviceLost", t)) == [CellSettled(0, StageState.FAILED), Finish()]


def test_stop_lets_running_stages_end() -> None:
    m = machine(diamond())
    m.handle(Tick(0.0))
    instructions = m.handle(Stop("no time left", 1.0))
    assert started(instructions) == []
    assert Finish() not in instructions
    assert m.handle(StageDone("i", 2.0)) == [Finish()]
    assert m.state("i") is StageState.DONE


def test_fail_fast_stops_at_the_first_failure() -> None:
    m = machine(diamond(), fail_fast=True, capacity={"compile": 2, "tune": 1}, done={"i"})
    m.handle(Tick(0.0))
    m.handle(AttemptFailed("l1", "LowerFailed", 1.0))
    assert m.stopped is not None
    assert started(m.handle(StageDone("l2", 2.0))) == []


def test_what_is_dropped_takes_what_needs_it_and_leaves_its_slot() -> None:
    m = machine(diamond(), done={"i", "l1", "l2"})
    assert "t2" in started(m.handle(Tick(0.0)))
    instructions = m.handle(Drop("t2", "no time left", 1.0))
    assert CellSettled(1, StageState.SKIPPED) in instructions
    assert (m.root_cause("m2"), m.stopped) == ("no time left", None)
    assert "t2" not in m.running
    assert m.state("b3") is not StageState.SKIPPED


def test_failures_of_an_earlier_run_stand() -> None:
    m = machine(diamond(), done={"i", "l2"}, failed=["l1"], capacity={"compile": 9, "tune": 9})
    instructions = m.handle(Tick(0.0))
    assert CellSettled(0, StageState.SKIPPED) in instructions
    assert sorted(started(instructions)) == ["b3", "t2"]


def test_stages_of_one_pool_hold_one_slot_and_run_together() -> None:
    """Three modules of tuner a, one of tuner b, and room for one tuner."""
    tunes = [stage(f"t{n}", "tune", "i", tuner="b" if n == 2 else "a") for n in range(4)]
    m = machine(plan_of([stage("i", "import"), *tunes], [s.id for s in tunes]), done={"i"}, capacity={"tune": 1})
    assert started(m.handle(Tick(0.0))) == ["t0", "t1", "t3"]
    assert started(m.handle(StageDone("t0", 1.0))) == started(m.handle(AttemptFailed("t3", "Bug", 2.0))) == []
    assert started(m.handle(StageDone("t1", 3.0))) == ["t2"]


@pytest.mark.parametrize("event", [StageDone("l1", 1.0), AttemptFailed("zzz", "Bug", 1.0)])
def test_impossible_events_are_refused_with_the_story(event: StageDone | AttemptFailed) -> None:
    m = machine(diamond())
    m.handle(Tick(0.0))
    with pytest.raises(PlanError, match="not running"):
        m.handle(event)


def test_a_plan_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(PlanError, match="before its input"):
        machine(
            plan_of([stage("a", "measure", device="d0")], ["a"]).__class__(
                "x", [], {"b": stage("b", "build", "a"), "a": stage("a", "import")}, {}
            )
        )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 14))
    stages: list[Stage] = []
    for number in range(count):
        earlier = [s.id for s in stages]
        inputs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        kind = draw(st.sampled_from(["import", "build", "tune", "measure"]))
        device = draw(st.sampled_from(["d0", "d1"]))
        stages.append(stage(f"s{number}", kind, *inputs, device=device, tuner=device))
    ends = draw(st.lists(st.sampled_from([s.id for s in stages]), min_size=1, unique=True))
    return plan_of(stages, ends)


@settings(max_examples=300, deadline=None)
@given(plans(), st.randoms(use_true_random=False), st.integers(1, 3), st.booleans())
def test_every_plan_ends_with_every_cell_settled_once(plan: Plan, random: object, slots: int, stops: bool) -> None:
    """Whatever fails, in whatever order: slots are respected, inputs come first, each cell settles once."""
    capacity = {"compile": slots, "tune": slots}
    m = machine(plan, capacity=capacity, policy=RetryPolicy({"DeviceLost": 2}, first_delay_s=1.0))
    running: list[str] = []
    settled: list[int] = []
    done: set[str] = set()
    finished = 0
    t = 0.0
    event: object = Tick(t)
    for step in range(1000):
        for instruction in m.handle(event):  # type: ignore[arg-type]
            match instruction:
                case Start(stage_id):
                    assert set(plan.stages[stage_id].inputs) <= done
                    assert stage_id not in done
                    running.append(stage_id)
                case CellSettled(cell):
                    settled.append(cell)
                case Finish():
                    finished += 1
        holders = {(need.slot, need.party or s) for s in running for need in needs_of(plan.stages[s])}
        held = [slot for slot, _ in holders]
        assert all(held.count(slot) <= capacity.get(slot, 1) for slot in held)
        assert set(running) == m.running
        if finished:
            break
        t += 1.0
        if stops and step == 5:
            event = Stop("enough", t)
        elif not running:
            t = m.next_due_t or t
            event = Tick(t)
        else:
            stage_id = running.pop(random.randrange(len(running)))  # type: ignore[attr-defined]
            roll = random.random()  # type: ignore[attr-defined]
            if roll < 0.2:
                event = AttemptFailed(stage_id, random.choice(["DeviceLost", "BuildFailed"]), t)  # type: ignore[attr-defined]
            else:
                done.add(stage_id)
                event = StageDone(stage_id, t)
    assert finished == 1
    assert sorted(settled) == list(range(len(plan.cells)))
    needed = {s for planned in plan.cells for s in planned.stages}
    assert all(m.state(s) in FINAL for s in needed)
    assert not m.running
