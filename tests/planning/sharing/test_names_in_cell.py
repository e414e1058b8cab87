"""What the stages of a cell are called that takes others of other cells, in whatever order a plan lists them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.planning.kinds import kind_of
from sweep.planning.planner import make_plan
from sweep.planning.sharing.names_in_cell import names_in_cell
from sweep.planning.stage import Plan, PlannedCell
from sweep.running.ledger.state import FinishedStage, LedgerState
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.study.gate import study_of
from tests.planning.grids import cluster, device
from tests.running.plans import plan_of, stage

OWN = ("quantise", "lower", "tune", "build", "measure")


@pytest.fixture(scope="module")
def advised() -> Plan:
    """A network in int8, and with the layer of it in float32 that is advised, both tuned."""
    mix = {"name": "mix", "dtype": "int8", "float32_advised": 1}
    document = {"study": "a", "models": ["onnx-light:squeezenet"], "axes": {"precision": ["int8", mix]}}
    document |= {"runtimes": ["tvm"], "tuners": ["random"]}
    return make_plan(study_of(document, Path()), cluster(device("one")))


def _as_it_was(planned: PlannedCell, plan: Plan) -> PlannedCell:
    """Its stages as an earlier version listed them: what is borrowed stands before the own stage that takes it."""
    own = {plan.stages[stage_id].kind: stage_id for stage_id in planned.stages}
    found: list[str] = []

    def take(stage_id: str) -> None:
        for need in (need for need in plan.stages[stage_id].inputs if need not in found):
            take(need)
        found.append(stage_id)

    for stage_id in own.values():
        if stage_id not in found:
            take(stage_id)
    return replace(planned, stages=tuple(found))


def _names(planned: PlannedCell, plan: Plan) -> dict[str, str]:
    return {name: stage_id for stage_id, name in names_in_cell(planned, plan.stages).items()}


@pytest.mark.parametrize("precision", ["int8", "mix"])
def test_a_cells_own_stages_are_called_by_their_kinds(advised: Plan, precision: str) -> None:
    (planned,) = (one for one in advised.cells if one.cell.precision == precision)
    names = _names(planned, advised)
    stages = {kind: advised.stages[names[kind]] for kind in OWN}
    assert f" {precision}" in stages["quantise"].label
    assert stages["lower"].inputs == (names["quantise"],)
    assert stages["tune"].inputs == (names["lower"],)
    assert stages["build"].inputs == (names["lower"], names["tune"])
    assert names["build"] in stages["measure"].inputs
    assert sorted(names.values()) == sorted(planned.stages)


def test_the_order_of_a_plan_makes_no_difference(advised: Plan) -> None:
    (planned,) = (one for one in advised.cells if one.cell.precision == "int8")
    was = _as_it_was(planned, advised)
    assert set(was.stages) == set(planned.stages)
    assert was.stages != planned.stages
    assert _names(was, advised) == _names(planned, advised)


@pytest.mark.parametrize("order", [("e", "t", "i", "m"), ("t", "e", "i", "m")])
def test_the_training_of_the_network_itself_is_the_own_one(order: tuple[str, ...]) -> None:
    stages = [stage("e", "train"), stage("t", "train", "e"), stage("i", "import", "t"), stage("m", "measure", "i")]
    plan = plan_of(stages, ["m"])
    names = names_in_cell(replace(plan.cells[0], stages=order), plan.stages)
    assert names == {"e": "earlier", "t": "train", "i": "import", "m": "measure"}


@pytest.mark.parametrize("precision", ["int8", "mix"])
@pytest.mark.parametrize("missing", ["quantise", "lower", "tune"])
def test_what_a_cell_lacks_is_not_made_up_for_by_what_it_borrows(advised: Plan, precision: str, missing: str) -> None:
    (planned,) = (one for one in advised.cells if one.cell.precision == precision)
    names = _names(planned, advised)
    results = {one.id: kind_of(one).result() for one in advised.stages.values()}
    state, lacks = LedgerState(), {names[kind] for kind in OWN[OWN.index(missing) :]}
    state.done = {key: FinishedStage("", result, 1.0, 1, 0.0) for key, result in results.items() if key not in lacks}

    outcome = cell_outcome(advised, planned, state)

    assert outcome.result(type(results[names[missing]])) is None
    assert any(isinstance(result, type(results[names[missing]])) for result in outcome.stages.values()) is (
        (precision, missing) != ("int8", "quantise")
    ), "another cell's is there"
    assert outcome.result(kind_of("calibrate").result) is not None
