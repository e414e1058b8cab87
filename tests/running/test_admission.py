"""Cells that are not worth their work: what is not started, what runs on, what the ledger keeps, what a resume does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sweep.planning.results.measurement import Measurement
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.stage import Plan
from sweep.running.admission import SettledCell, Verdict
from sweep.running.contract import needs_of
from sweep.running.events import (
    AttemptFailed,
    AuditCell,
    CellSettled,
    Instruction,
    PreferCells,
    Skip,
    SkipCell,
    StageDone,
    StageState,
    Start,
    Tick,
)
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.machine import Machine
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from tests.running.plans import diamond, plan_of, stage
from tests.running.test_driver import ChosenEngine, done, failed, run

REASON = "a smaller batch has failed"
AUDITED = PredictedLatency(2e-3, 3e-3, 1e-3, is_audited=True)


class Afterwards:
    """Once a cell has settled in some way, skips others."""

    def __init__(self, when: Callable[[int, SettledCell], bool], cells: Sequence[int]) -> None:
        self._when, self._cells = when, cells
        self.told: list[tuple[int, SettledCell]] = []

    def settled(self, index: int, cell: SettledCell) -> Sequence[SkipCell]:
        self.told.append((index, cell))
        return [SkipCell(other, REASON) for other in self._cells] if self._when(index, cell) else []


def after(index: int, *cells: int) -> Afterwards:
    return Afterwards(lambda settled, cell: settled == index, cells)


def after_a_failure(*cells: int) -> Afterwards:
    return Afterwards(lambda settled, cell: cell.state is StageState.FAILED, cells)


def machine(plan: Plan, admission: Afterwards, **options: object) -> Machine:
    given = {"capacity": {"compile": 4, "tune": 1}, **options}
    options = RunOptions(admission=admission)
    return Machine(plan, needs=needs_of, options=options, **given)  # type: ignore[arg-type]


def started(instructions: Sequence[Instruction]) -> list[str]:
    return [each.stage_id for each in instructions if isinstance(each, Start)]


def test_a_cell_is_skipped_before_its_stage_takes_the_slot_that_became_free() -> None:
    m = machine(diamond(), after_a_failure(1), done={"i", "l1", "l2", "b1", "t2", "b2", "b3"})
    assert started(m.handle(Tick(0.0))) == ["m1", "m4"]

    instructions = m.handle(AttemptFailed("m1", "MeasureFailed", 1.0))

    assert instructions == [
        CellSettled(0, StageState.FAILED),
        SkipCell(1, REASON),
        CellSettled(1, StageState.SKIPPED),
        Skip("m2", REASON),
        Start("m3"),
    ]


def test_what_a_skipped_cell_shares_is_done_all_the_same() -> None:
    """b3 is measured on both devices: without the cell of one, it is still built for the other's."""
    m = machine(diamond(), after(0, 1, 2), done={"i", "l1", "b1", "m1"})

    instructions = m.handle(Tick(0.0))

    assert {each for each in instructions if isinstance(each, Skip)} == {
        Skip(stage_id, REASON) for stage_id in ("t2", "b2", "m2", "m3")
    }
    assert started(instructions) == ["l2"]
    assert started(m.handle(StageDone("l2", 1.0))) == ["b3"]


def test_what_runs_may_end_and_nothing_follows_it() -> None:
    admission = after(3, 1)
    m = machine(diamond(), admission, done={"i", "l1", "l2", "b1", "b2", "b3", "m1", "m3"})
    assert started(m.handle(Tick(0.0))) == ["m2", "m4"]

    instructions = m.handle(StageDone("m4", 1.0))

    assert instructions == [CellSettled(3, StageState.DONE), SkipCell(1, REASON), CellSettled(1, StageState.SKIPPED)]
    assert m.state("m2") is StageState.RUNNING
    m.handle(StageDone("m2", 2.0))
    assert m.state("m2") is StageState.DONE


def test_a_stage_that_waits_for_its_retry_is_not_tried_again() -> None:
    plan = plan_of([stage("m", "measure", device="d0"), stage("n", "measure", device="d1")], ["m", "n"])
    m = machine(plan, after(1, 0), policy=RetryPolicy({"DeviceLost": 5}, first_delay_s=1.0))
    m.handle(Tick(0.0))
    m.handle(AttemptFailed("m", "DeviceLost", 1.0))
    m.handle(StageDone("n", 1.5))

    assert m.next_due_t is None
    assert started(m.handle(Tick(10.0))) == []
    assert m.state("m") is StageState.SKIPPED


def test_the_policy_is_told_what_a_cell_came_to_and_of_earlier_runs_first() -> None:
    admission = after(99)
    m = machine(diamond(), admission, done={"i", "l1", "l2", "b1", "b2", "b3", "m1"}, failed=["m4"])
    m.handle(Tick(0.0))
    m.handle(StageDone("m2", 1.0, Measurement(number=7)))
    m.handle(AttemptFailed("m3", "MeasureFailed", 2.0))

    told = [(index, cell.state, cell.error_class) for index, cell in admission.told]
    assert told == [
        (0, StageState.DONE, None),
        (3, StageState.FAILED, None),
        (1, StageState.DONE, None),
        (2, StageState.FAILED, "MeasureFailed"),
    ]
    assert [cell.results for _, cell in admission.told] == [{}, {}, {"measure": Measurement(number=7)}, {}]


def test_a_cell_whose_input_has_failed_has_failed_for_the_policy() -> None:
    admission = after_a_failure(2, 3)
    m = machine(diamond(), admission, done={"i"}, capacity={"compile": 1, "tune": 1})
    assert started(m.handle(Tick(0.0))) == ["l1"]

    instructions = m.handle(AttemptFailed("l1", "LowerFailed", 1.0))

    assert [(index, cell.state, cell.error_class) for index, cell in admission.told] == [
        (0, StageState.FAILED, "LowerFailed"),
        (2, StageState.SKIPPED, None),
        (3, StageState.SKIPPED, None),
    ]
    assert Skip("b3", REASON) in instructions
    assert started(instructions) == ["l2"], "which a cell that is left needs"


def test_skipped_cells_may_skip_others_and_settled_ones_stay_as_they_are() -> None:
    chain = Afterwards(lambda index, cell: True, (0, 1, 2, 3))
    m = machine(diamond(), chain, done={"i", "l1", "b1", "m1"})

    settled = [each for each in m.handle(Tick(0.0)) if isinstance(each, CellSettled)]

    assert settled == [CellSettled(0, StageState.DONE), *(CellSettled(n, StageState.SKIPPED) for n in (1, 2, 3))]
    assert [index for index, _ in chain.told] == [0, 1, 2, 3]


def one_after_the_other() -> Plan:
    """Four cells that wait for one device."""
    return plan_of([stage(f"m{n}", "measure", device="d0") for n in range(4)], [f"m{n}" for n in range(4)])


def test_a_run_keeps_why_a_cell_was_skipped_and_is_not_the_worse_for_it(tmp_path: Path) -> None:
    engine, plan = ChosenEngine(done), one_after_the_other()
    status, watcher = run(tmp_path, engine, plan, admission=after(0, 1, 3))

    assert (status, sorted(watcher.settled)) == ("done", [(n, False) for n in range(4)])
    assert engine.started == [("m0", 1), ("m2", 1)]
    state = read_ledger(tmp_path)
    outcomes = [cell_outcome(plan, planned, state) for planned in plan.cells]
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [
        ("done", None),
        ("skipped", REASON),
        ("done", None),
        ("skipped", REASON),
    ]
    assert (state.stopped, state.last_status) == (None, "done")


def test_the_next_run_with_the_policy_skips_them_again_and_one_without_does_them(tmp_path: Path) -> None:
    plan = one_after_the_other()
    lost = ChosenEngine(lambda attempt: failed(attempt) if attempt.stage.id == "m0" else done(attempt))
    assert run(tmp_path, lost, plan, admission=after_a_failure(1))[0] == "failed"
    same = ChosenEngine(done)
    assert run(tmp_path, same, plan, admission=after_a_failure(1))[0] == "failed"
    assert same.started == []
    assert read_ledger(tmp_path).not_admitted == {plan.cells[1].cell.id: REASON}

    every = ChosenEngine(done)
    run(tmp_path, every, plan)

    assert every.started == [("m1", 1)]
    state = read_ledger(tmp_path)
    assert state.not_admitted == {}
    assert cell_outcome(plan, plan.cells[1], state).status == "done"


def test_a_cell_that_was_measured_stays_measured_though_it_is_skipped_meanwhile(tmp_path: Path) -> None:
    """Its stage ran when the policy spoke."""
    plan = plan_of([stage("m", "measure", device="d0"), stage("n", "measure", device="d1")], ["m", "n"])

    assert run(tmp_path, ChosenEngine(done), plan, admission=after(0, 1))[0] == "done"

    state = read_ledger(tmp_path)
    assert set(state.done) == {"m", "n"}
    assert cell_outcome(plan, plan.cells[1], state).status == "done"


def test_cells_that_are_preferred_come_first_and_the_rest_as_planned() -> None:
    """On one device: the cells are m1 to m4, and once the first has settled the last comes before the others."""
    plan = plan_of([stage(f"m{n}", "measure", device="d0") for n in range(1, 5)], ["m1", "m2", "m3", "m4"])

    class Last:
        def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
            return [PreferCells([3]), AuditCell(3, AUDITED)] if index == 0 else []

    m = Machine(plan, needs=needs_of, capacity={}, options=RunOptions(admission=Last()))
    assert started(m.handle(Tick(0.0))) == ["m1"]
    instructions = m.handle(StageDone("m1", 1.0))
    assert AuditCell(3, AUDITED) in instructions
    assert started(instructions) == ["m4"]
    assert started(m.handle(StageDone("m4", 2.0))) == ["m2"]
    assert started(m.handle(StageDone("m2", 3.0))) == ["m3"]


def test_the_ledger_keeps_what_was_predicted_and_an_earlier_reader_passes_it_over(tmp_path: Path) -> None:
    plan = plan_of([stage(f"m{n}", "measure", device="d0") for n in range(1, 4)], ["m1", "m2", "m3"])
    spared = PredictedLatency(2e-3, 3e-3, 1e-3)

    class First:
        def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
            return [SkipCell(1, REASON, spared), AuditCell(2, AUDITED)] if index == 0 else []

    run(tmp_path, ChosenEngine(done), plan, admission=First())
    state = read_ledger(tmp_path)
    outcomes = [cell_outcome(plan, planned, state) for planned in plan.cells]
    assert [outcome.status for outcome in outcomes] == ["done", "skipped", "done"]
    assert [outcome.predicted for outcome in outcomes] == [None, spared, AUDITED]
    assert outcomes[1].error == REASON
