"""The state machine, fed with events."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import PlanError
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.running.admission import SettledCell, Verdict
from sweep.running.contract import needs_of
from sweep.running.events import (
    AttemptFailed,
    CellSettled,
    Drop,
    Event,
    Finish,
    Instruction,
    PreferCells,
    Skip,
    SkipCell,
    StageDone,
    StageState,
    Start,
    Stop,
    Tick,
)
from sweep.running.machine import Machine
from sweep.running.options import RunOptions
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


def two_pools() -> Plan:
    """The pool that comes first waits for a lowering that takes longer than the others'."""
    return plan_of(
        [
            stage("i", "import"),
            stage("l1", "lower", "i"),
            stage("l2", "lower", "i"),
            stage("t1", "tune", "l1", tuner="first"),
            stage("t2", "tune", "l2", tuner="second"),
            stage("t3", "tune", "l2", tuner="third"),
        ],
        ["t1", "t2", "t3"],
    )


def test_a_pool_leaves_its_slot_to_one_that_comes_before_it_and_is_ready_in_a_moment() -> None:
    m = machine(two_pools(), capacity={"compile": 2, "tune": 2})
    m.handle(Tick(0.0))
    assert started(m.handle(StageDone("i", 1.0))) == ["l1", "l2"]
    assert started(m.handle(StageDone("l2", 2.0))) == ["t2"]
    assert started(m.handle(StageDone("l1", 3.0))) == ["t1"]
    assert started(m.handle(StageDone("t2", 4.0))) == ["t3"]


def test_no_slot_is_kept_for_a_pool_whose_first_stage_does_not_come() -> None:
    m = machine(two_pools(), capacity={"compile": 2, "tune": 2})
    m.handle(Tick(0.0))
    m.handle(StageDone("i", 1.0))
    m.handle(StageDone("l2", 2.0))
    assert started(m.handle(AttemptFailed("l1", "LowerFailed", 3.0))) == ["t3"]


def test_no_slot_is_kept_where_what_a_pool_waits_for_has_not_begun() -> None:
    late = machine(
        plan_of(
            [
                stage("i", "import"),
                stage("j", "import"),
                stage("l1", "lower", "j"),
                stage("l2", "lower", "i"),
                stage("t1", "tune", "l1", tuner="first"),
                stage("t2", "tune", "l2", tuner="second"),
            ],
            ["t1", "t2"],
        ),
        capacity={"compile": 1, "tune": 1},
        done={"i", "l2"},
    )
    assert sorted(started(late.handle(Tick(0.0)))) == ["j", "t2"]


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
    m = machine(diamond(), options=RunOptions(fail_fast=True), capacity={"compile": 2, "tune": 1}, done={"i"})
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


@pytest.mark.parametrize(
    ("event", "story"),
    [
        (StageDone("l1", 9.0), "lower l1 (l1) is waiting; so far: never started"),
        (StageDone("m1", 9.0), "measure m1 (m1) is done; so far: started at 0 s; done at 1.5 s"),
        (
            AttemptFailed("m2", "Bug", 9.0),
            "measure m2 (m2) is delayed; so far: started at 1.5 s; failed (DeviceLost) at 2 s",
        ),
        (
            Drop("m3", "no time left", 9.0),
            "measure m3 (m3) is failed; so far: started at 2 s; failed (MeasureFailed) at 3 s",
        ),
        (StageDone("b1", 9.0), "build b1 (b1) is skipped because of l1; so far: never started"),
    ],
)
def test_impossible_events_are_refused_with_the_story(event: Event, story: str) -> None:
    """Of a stage that was never started, one that has ended, and one that waits for its next attempt."""
    m = machine(
        plan_of(
            [
                *(stage(name, "measure", device="d0") for name in ("m1", "m2", "m3")),
                stage("i", "import"),
                stage("l1", "lower", "i"),
                stage("b1", "build", "l1"),
            ],
            ["m1", "m2", "m3", "b1"],
        ),
        policy=RetryPolicy({"DeviceLost": 2}, first_delay_s=100.0),
    )
    m.handle(Tick(0.0))
    m.handle(StageDone("m1", 1.5))
    m.handle(AttemptFailed("m2", "DeviceLost", 2.0))
    m.handle(AttemptFailed("m3", "MeasureFailed", 3.0))
    if story.startswith("build"):
        m.handle(StageDone("i", 4.0))
        m.handle(AttemptFailed("l1", "LowerFailed", 5.0))

    with pytest.raises(PlanError) as caught:
        m.handle(event)

    assert str(caught.value) == f"{event} for a stage that is not running; {story}"


def test_events_of_stages_that_nobody_planned_are_refused() -> None:
    with pytest.raises(PlanError, match=r"'zzz'.* for a stage that the plan does not have"):
        machine(diamond()).handle(AttemptFailed("zzz", "Bug", 1.0))


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
    goals = st.lists(st.sampled_from([s.id for s in stages]), min_size=1, max_size=3, unique=True).map(tuple)
    return plan_of(stages, draw(st.lists(goals, min_size=1, max_size=8)))


class Whims:
    """An admission that skips cells as a generator of numbers will have it, and checks what it is told."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan, self._random = plan, random
        self.told: list[int] = []
        self.skipped: dict[int, str] = {}

    def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
        assert cell.cell == self._plan.cells[index].cell
        assert cell.state in FINAL
        assert (
            (len(cell.results) == 0) or cell.state is not StageState.SKIPPED or len(self._plan.cells[index].goals) > 1
        )
        self.told.append(index)
        named = [n for n in range(len(self._plan.cells)) if self._random.random() < 0.2]
        self.skipped.update({n: f"by {index}" for n in named if n not in self.told and n not in self.skipped})
        count = len(self._plan.cells)
        first = PreferCells(self._random.sample(range(count), self._random.randrange(count + 1)))
        preferred = [first] if self._random.random() < 0.5 else []
        return [*(SkipCell(n, f"by {index}") for n in named), *preferred]


def test_failures_count_by_their_class() -> None:
    """A board that is lost says nothing of the worker that is killed after it: each has the tries of its own."""
    m = machine(
        plan_of([stage("m", "measure", device="d0")], ["m"]), policy=RetryPolicy({"DeviceLost": 2, "Killed": 2})
    )
    assert started(m.handle(Tick(0.0))) == ["m"]
    for t, error_class in ((100.0, "DeviceLost"), (300.0, "Killed"), (500.0, "EngineDown"), (700.0, "EngineDown")):
        assert m.would_retry("m", error_class)
        m.handle(AttemptFailed("m", error_class, t))
        assert started(m.handle(Tick(t + 100.0))) == ["m"]
    assert not m.would_retry("m", "Killed")
    m.handle(AttemptFailed("m", "Killed", 900.0))
    assert m.state("m") is StageState.FAILED


class Play:
    """A run of a plan in which an engine ends attempts in any order, as it likes."""

    def __init__(self, plan: Plan, random: Random, slots: int, admission: Whims | None) -> None:
        self.plan, self._random = plan, random
        self._capacity = {"compile": slots, "tune": slots}
        policy = RetryPolicy({"DeviceLost": 2}, first_delay_s=1.0)
        self.machine = machine(plan, capacity=self._capacity, policy=policy, options=RunOptions(admission=admission))
        self._running: list[str] = []
        self.done: set[str] = set()
        self.settled: list[int] = []
        self.not_admitted: dict[int, str] = {}
        self.finished = 0

    def until_the_end(self, *, stops: bool) -> None:
        event: Event = Tick(0.0)
        for step in range(1000):
            for instruction in self.machine.handle(event):
                self._take(instruction)
            self._check_slots()
            if self.finished:
                break
            event = Stop("enough", event.t + 1.0) if stops and step == 5 else self._next(event.t + 1.0)

    def _take(self, instruction: Instruction) -> None:
        match instruction:
            case Start(stage_id):
                assert set(self.plan.stages[stage_id].inputs) <= self.done
                assert stage_id not in self.done
                self._running.append(stage_id)
            case CellSettled(cell, state):
                self.settled.append(cell)
                assert state is not StageState.DONE or self.done >= set(self.plan.cells[cell].goals)
            case SkipCell(cell, reason):
                assert cell not in self.settled
                self.not_admitted[cell] = reason
            case Finish():
                self.finished += 1

    def _check_slots(self) -> None:
        running = [(s, need) for s in self._running for need in needs_of(self.plan.stages[s])]
        held = [slot for slot, _ in {(need.slot, need.party or s) for s, need in running}]
        assert all(held.count(slot) <= self._capacity.get(slot, 1) for slot in held)
        assert set(self._running) == self.machine.running

    def _next(self, t: float) -> Event:
        if not self._running:
            return Tick(self.machine.next_due_t or t)
        stage_id = self._running.pop(self._random.randrange(len(self._running)))
        if self._random.random() < 0.2:
            return AttemptFailed(stage_id, self._random.choice(["DeviceLost", "BuildFailed"]), t)
        self.done.add(stage_id)
        return StageDone(stage_id, t, StageResult())


@settings(max_examples=3 * settings.default.max_examples, deadline=None)
@given(plans(), st.randoms(use_true_random=False), st.integers(1, 3), st.booleans(), st.booleans())
def test_every_plan_ends_with_every_cell_settled_once(
    plan: Plan, random: Random, slots: int, stops: bool, skips: bool
) -> None:
    """Whatever fails or is skipped, in whatever order: slots are respected, inputs come first, each cell settles once,
    and what is needed by a cell that was not skipped is done, unless something failed or the run was stopped.
    """
    admission = Whims(plan, random) if skips else None
    play = Play(plan, random, slots, admission)

    play.until_the_end(stops=stops)

    assert play.finished == 1
    assert sorted(play.settled) == list(range(len(plan.cells)))
    assert all(play.machine.state(s) in FINAL for planned in plan.cells for s in planned.stages)
    assert not play.machine.running
    admitted = [planned for index, planned in enumerate(plan.cells) if index not in play.not_admitted]
    for goal in {goal for planned in admitted for goal in planned.goals}:
        if play.machine.state(goal) is StageState.SKIPPED:
            cause = play.machine.root_cause(goal)
            assert cause == "enough" or play.machine.state(str(cause)) is StageState.FAILED
    if admission is not None:
        assert sorted(admission.told) == sorted(play.settled)
        assert play.not_admitted.items() <= admission.skipped.items()
