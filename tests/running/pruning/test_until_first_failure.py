"""Batches in order, and none beyond the first that failed: by values alone, whatever fails and in whatever order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.running.contract import needs_of
from sweep.running.events import AttemptFailed, CellSettled, Event, SkipCell, StageDone, StageState, Start, Tick
from sweep.running.machine import Machine
from sweep.running.options import RunOptions
from sweep.running.pruning.until_first_failure import EachOf, UntilFirstFailure
from sweep.study.spec import Cell
from tests.running.plans import stage

BATCHES = (64, 1, 8, 256)
KINDS = tuple((mode, variable) for mode in ("inference", "training") for variable in ("latency", "memory"))


def cell(batch: int | None, mode: str = "inference", variable: str = "latency") -> Cell:
    axes = {"model": "net", "target": "-", "tuner": "-", "opt_level": None, "device": "here", "runtime": "torch"}
    return Cell.of({**axes, "batch": batch, "mode": mode, "variable": variable})


def grid() -> Plan:
    """A stage a cell, all on one device, in the order in which a study may list them."""
    stages: dict[str, Stage] = {}
    cells = []
    for batch in BATCHES:
        for mode, variable in KINDS:
            one = stage(f"{mode} {variable} {batch}", "measure", device="here")
            stages[one.id] = one
            cells.append(PlannedCell(cell(batch, mode, variable), (one.id,)))
    return Plan("grid", cells, stages, naive={})


def run(plan: Plan, fails: Collection[str], done: Collection[str] = (), failed: Collection[str] = ()) -> list[object]:
    """Perform a plan to its end: the stages that `fails` names fail. Gives what was started and what was said."""
    options = RunOptions(admission=EachOf([UntilFirstFailure(plan)]))
    machine = Machine(plan, needs=needs_of, capacity={"device:here": 8}, options=options, done=done, failed=failed)
    told: list[object] = []
    events: list[Event] = [Tick(0.0)]
    while events:
        for instruction in machine.handle(events.pop(0)):
            told.append(instruction)
            if isinstance(instruction, Start):
                name = instruction.stage_id
                events.append(AttemptFailed(name, "OutOfMemory", 1.0) if name in fails else StageDone(name, 1.0))
    return told


def expected(fails: Collection[str]) -> tuple[set[str], set[str]]:
    """Stages that are tried, and those of them that fail: by the rule as a person says it."""
    tried, failed = set(), set()
    for mode, variable in KINDS:
        for batch in sorted(BATCHES):
            name = f"{mode} {variable} {batch}"
            tried.add(name)
            if name in fails:
                failed.add(name)
                break
    return tried, failed


NAMES = st.sets(st.sampled_from([f"{mode} {variable} {batch}" for mode, variable in KINDS for batch in BATCHES]))


@given(NAMES)
def test_exactly_the_larger_batches_of_what_failed_are_skipped(fails: set[str]) -> None:
    plan = grid()
    told = run(plan, fails)
    tried, failed = expected(fails)
    assert {one.stage_id for one in told if isinstance(one, Start)} == tried
    skipped = {plan.cells[one.cell].stages[0] for one in told if isinstance(one, SkipCell)}
    assert skipped == set(plan.stages) - tried
    settled = [one for one in told if isinstance(one, CellSettled)]
    assert len(settled) == len(plan.cells), "every cell is settled once"
    assert {plan.cells[one.cell].stages[0] for one in settled if one.state is StageState.FAILED} == failed


@given(NAMES, st.integers(0, 16))
def test_a_run_that_was_killed_and_goes_on_skips_the_same(fails: set[str], ended: int) -> None:
    """Whatever of the first run is in the ledger: the next one adds what is missing, and tries nothing else."""
    plan = grid()
    tried, failed = expected(fails)
    first = [one.stage_id for one in run(plan, fails) if isinstance(one, Start)][:ended]
    done = [name for name in first if name not in failed]
    again = run(plan, fails, done=done, failed=[name for name in first if name in failed])
    assert {one.stage_id for one in again if isinstance(one, Start)} == tried - set(first)


def test_batches_come_in_order_whatever_the_study_lists() -> None:
    plan = grid()
    started = [one.stage_id for one in run(plan, ()) if isinstance(one, Start)]
    for mode, variable in KINDS:
        of_kind = [int(name.split()[2]) for name in started if name.startswith(f"{mode} {variable} ")]
        assert of_kind == sorted(BATCHES)


def test_what_fails_without_a_batch_ends_no_series_and_no_run() -> None:
    """A network that is run as it is written (`batch: as-is`) beside others."""
    plan, as_is = grid(), stage("as it is", "measure", device="here")
    plan = replace(
        plan,
        cells=[PlannedCell(cell(None), (as_is.id,)), *plan.cells],
        stages={as_is.id: as_is, **plan.stages},
    )
    for failed in ((), (as_is.id,)):
        told = run(plan, {as_is.id}, failed=failed)
        assert sum(isinstance(one, CellSettled) for one in told) == len(plan.cells)
        assert not [one for one in told if isinstance(one, SkipCell)]


def test_the_reason_names_the_batch_and_a_lost_worker_is_none() -> None:
    plan = grid()
    told = run(plan, {"inference memory 8"})
    reasons = {one.reason for one in told if isinstance(one, SkipCell)}
    assert reasons == {"batch 8 failed: larger ones are not tried"}

    from sweep.running.admission import SettledCell

    policy = UntilFirstFailure(plan)
    index = next(n for n, planned in enumerate(plan.cells) if planned.cell.batch == 1)
    assert policy.settled(index, SettledCell(plan.cells[index].cell, StageState.FAILED, error_class="DeviceLost")) == []
    assert policy.settled(index, SettledCell(plan.cells[index].cell, StageState.FAILED, error_class="OutOfMemory"))
