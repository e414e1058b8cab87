"""Cells with several goals: when they are settled, and what a ledger says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.outcome import CellStatus
from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.stage import Plan
from sweep.running.contract import needs_of
from sweep.running.events import AttemptFailed, CellSettled, Finish, StageDone, StageState, Tick
from sweep.running.goals import state_of_cell
from sweep.running.ledger.saved_plan import restore, saved
from sweep.running.ledger.state import FailedStage, FinishedStage, LedgerState
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.machine import Machine
from tests.planning.grids import study
from tests.running.plans import plan_of, stage

DONE, FAILED, SKIPPED = StageState.DONE, StageState.FAILED, StageState.SKIPPED
WAITING, RUNNING = StageState.WAITING, StageState.RUNNING


@pytest.mark.parametrize(
    ("goals", "state"),
    [
        ([DONE], DONE),
        ([DONE, DONE], DONE),
        ([FAILED, DONE], FAILED),
        ([SKIPPED, FAILED, DONE], FAILED),
        ([SKIPPED, DONE], SKIPPED),
        ([FAILED, RUNNING], WAITING),
        ([WAITING], WAITING),
        ([DONE, StageState.DELAYED], WAITING),
        ([SKIPPED, StageState.READY], WAITING),
    ],
)
def test_a_cell_is_settled_when_all_goals_are_and_a_failure_weighs_most(
    goals: list[StageState], state: StageState
) -> None:
    assert state_of_cell(goals) is state


def two_goals() -> Plan:
    """One cell with a build, which is measured on two devices, and one that ends in the build."""
    return plan_of(
        [
            stage("i", "import"),
            stage("b", "build", "i"),
            stage("m", "measure", "b", device="d0"),
            stage("n", "measure", "b", device="d1"),
        ],
        [("m", "n"), "b"],
    )


def test_the_machine_settles_a_cell_once_with_its_last_goal() -> None:
    machine = Machine(two_goals(), needs=needs_of, capacity={"compile": 1}, done={"i", "b"})

    assert CellSettled(1, DONE) in machine.handle(Tick(0.0))
    assert machine.handle(AttemptFailed("m", "MeasureFailed", 1.0)) == []
    assert machine.handle(StageDone("n", 2.0)) == [CellSettled(0, FAILED), Finish()]


def test_a_goal_of_an_earlier_run_counts() -> None:
    machine = Machine(two_goals(), needs=needs_of, capacity={"compile": 1}, done={"i", "b", "n"})

    assert CellSettled(0, DONE) not in machine.handle(Tick(0.0))
    assert machine.handle(StageDone("m", 1.0)) == [CellSettled(0, DONE), Finish()]


def _state(done: tuple[str, ...], failed: tuple[str, ...]) -> LedgerState:
    state = LedgerState()
    for stage_id in done:
        result = {"b": BuildResult(), "c": BuildResult(lib="c")}.get(stage_id, Measurement(run_secs=(1.0,)))
        state.done[stage_id] = FinishedStage("", result, 1.0, 1, 0.0)
    for stage_id in failed:
        state.failed[stage_id] = FailedStage(f"kind of {stage_id}", "MeasureFailed", f"{stage_id} failed", 1, 0.0)
    return state


@pytest.mark.parametrize(
    ("done", "failed", "status", "error"),
    [
        ("ibmn", "", "done", None),
        ("ibm", "", "pending", None),
        ("ibm", "n", "failed", "n failed"),
        ("ib", "n", "pending", "n failed"),
        ("ib", "nm", "failed", "m failed"),
        ("i", "b", "failed", "b failed"),
        ("mn", "b", "done", None),
        ("m", "b", "failed", "b failed"),
    ],
)
def test_a_ledger_tells_of_a_cell_by_the_same_rule(
    done: str, failed: str, status: CellStatus, error: str | None
) -> None:
    """What is measured stays measured, also where another goal is not had."""
    plan = two_goals()

    outcome = cell_outcome(plan, plan.cells[0], _state(tuple(done), tuple(failed)))

    assert (outcome.status, outcome.error) == (status, error)
    assert len(outcome.stages) == len(done)


def test_a_run_that_stopped_before_a_goal_skips_what_has_not_failed() -> None:
    plan, state = two_goals(), replace(_state(("i", "b", "m"), ()), stopped="no time left")

    assert (cell_outcome(plan, plan.cells[0], state).status, cell_outcome(plan, plan.cells[1], state).status) == (
        "skipped",
        "done",
    )
    lost = replace(_state(("i", "b"), ("m",)), stopped="no time left")
    assert cell_outcome(plan, plan.cells[0], lost).status == "failed"


def test_one_tainted_goal_taints_the_cell() -> None:
    plan, state = two_goals(), _state(tuple("ibmn"), ())
    state.done["n"] = FinishedStage("", Measurement.from_json({"tainted": ["others took 20 % of it"]}), 1.0, 1, 0.0)

    outcome = cell_outcome(plan, plan.cells[0], state)

    assert (outcome.status, outcome.error) == ("tainted", "others took 20 % of it")


def test_a_further_result_of_a_kind_goes_by_its_role_and_the_last_is_the_cells_own() -> None:
    plan = two_goals()
    both = stage("x", "measure", "i", "b", device="d0")
    stages = {**plan.stages, "c": stage("c", "build", "i"), "x": replace(both, inputs=("i", "c"))}
    planned = replace(plan.cells[0], stages=("i", "c", "b", "m", "x"), goals=("m", "x"))
    state = _state(("i", "b", "m", "c", "x"), ())

    outcome = cell_outcome(replace(plan, stages=stages), planned, state)

    assert list(outcome.stages) == ["import", "build of measure", "build", "measure 2", "measure"]
    assert outcome.result(BuildResult) is outcome.stages["build"]


def test_goals_are_in_plan_json_where_they_are_more_than_the_last_stage(tmp_path: Path) -> None:
    content = saved(study(), two_goals())
    assert [cell.get("goals") for cell in content["cells"]] == [["m", "n"], None]

    (tmp_path / "plan.json").write_text(json.dumps(content))

    assert [planned.goals for planned in restore(tmp_path).plan.cells] == [("m", "n"), ("b",)]
