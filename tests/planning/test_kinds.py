"""The table of kinds of stages: what a row must be, how others add rows, and that nobody else lists kinds."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sweep import errors
from sweep.errors import PlanError, StudyError
from sweep.planning.draft import Draft, Drafting, Encoded
from sweep.planning.kinds import STAGE_KINDS, inputs_by_role, kind_of, kinds_after
from sweep.planning.planner import make_plan
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages.tune import with_members
from sweep.registry import attribute_at
from sweep.study.spec import Cell
from tests.parsed import trees
from tests.planning.grids import TUNERS, cluster, device, study


def _lists_kinds(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether it is a collection of three kinds, or compares the kind of something with one of them."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
        items = node.keys if isinstance(node, ast.Dict) else node.elts
        return len({item.value for item in items if isinstance(item, ast.Constant)} & names) >= 3
    if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "kind":
        return any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node))
    return False


def test_nobody_but_the_table_lists_kinds_of_stages() -> None:
    names = frozenset(STAGE_KINDS.names())
    found = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if _lists_kinds(node, names) and isinstance(node, ast.expr)
    ]

    assert not found


def test_every_row_names_what_there_is() -> None:
    before: list[str] = []
    for kind in STAGE_KINDS:
        # What is trained may have been trained before, and a mix takes the advice on another cell
        known = {*before, kind.name, *(["layer_advice"] if kind.name == "quantise" else [])}
        assert set(kind.inputs.values()) <= known, f"inputs of {kind.name} come before it"
        assert issubclass(getattr(errors, kind.error_class), errors.SweepError)
        if kind.place is Place.COMPILE:
            assert callable(attribute_at(kind.job))
        before.append(kind.name)
    goals = [kind.name for kind in STAGE_KINDS if kind.is_goal]
    assert goals == ["layer_errors", "measure", "evaluate", "layer_latencies", "layer_advice"]
    assert kinds_after(Place.TUNER) == {"build", "measure", "evaluate", "final", "layer_latencies", "layer_advice"}


def _draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    return None


ROW = StageKind("weigh", {"build": "build"}, Place.COMPILE, StageResult, _draft, "BuildFailed", job="a:b", limit_s=1.0)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"job": "weigh"}, "stage kind weigh: one that is compiled has a job, module:function, and a limit_s"),
        ({"limit_s": None}, "stage kind weigh: one that is compiled has a job, module:function, and a limit_s"),
        ({"error_class": "WeighFailed"}, "stage kind weigh: WeighFailed is no error class of sweep.errors"),
        ({"error_class": "in_one_line"}, "stage kind weigh: in_one_line is no error class of sweep.errors"),
    ],
)
def test_a_row_whose_parts_do_not_fit_is_refused(changes: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        StageKind(**{name: getattr(ROW, name) for name in ROW.__match_args__ if name != "roles_of"} | changes)


def test_an_unknown_kind_is_refused_in_one_line() -> None:
    stage = Stage("id", "measur", {}, {}, (), "measur x")
    for ask in (lambda: kind_of("measur", "stage id"), lambda: inputs_by_role(stage, {})):
        with pytest.raises(StudyError) as caught:
            ask()
        line = str(caught.value)
        assert "\n" not in line
        assert "is no kind of stage, did you mean 'measure'? (got 'measur'); allowed: train, import, calibrate" in line


def test_an_unknown_kind_in_a_cluster_file_is_refused_with_file_and_key() -> None:
    made_up = cluster(device("a"))
    made_up = replace(made_up, simulate=replace(made_up.simulate, stage_s={"tunes": 2.0}))

    with pytest.raises(StudyError) as caught:
        make_plan(study(), made_up)

    expected = (
        "c.yaml: simulate.stage_s.tunes: is no kind of stage, did you mean 'tune'? (got 2.0); allowed: train, import"
    )
    assert str(caught.value).startswith(expected)


@pytest.fixture
def stages() -> dict[str, Stage]:
    return {
        name: Stage(name, kind, {}, {}, (), name) for name, kind in (("i", "import"), ("b", "build"), ("c", "build"))
    }


def test_inputs_have_the_roles_that_their_kind_names(stages: dict[str, Stage]) -> None:
    tvm = Stage("m", "measure", {}, {}, ("i", "b"), "measure")
    other = Stage("n", "measure", {}, {}, ("i",), "measure")

    assert inputs_by_role(tvm, stages) == {"import": "i", "build": "b"}
    assert inputs_by_role(other, stages) == {"import": "i"}


def test_two_inputs_of_one_kind_have_their_roles_in_order_and_a_third_is_refused(stages: dict[str, Stage]) -> None:
    row = replace_inputs({"float_build": "build", "int8_build": "build"})
    with STAGE_KINDS.registered("weigh", row):
        both = Stage("w", "weigh", {}, {}, ("c", "b"), "weigh both")
        assert inputs_by_role(both, stages) == {"float_build": "c", "int8_build": "b"}
        with pytest.raises(PlanError, match="weigh all: a weigh stage takes no further build, but is given i"):
            inputs_by_role(Stage("w", "weigh", {}, {}, ("c", "b", "i"), "weigh all"), {**stages, "i": stages["b"]})


def replace_inputs(inputs: Mapping[str, str], **changes: Any) -> StageKind:
    """The row of the test with other inputs."""
    values = {name: getattr(ROW, name) for name in ROW.__match_args__ if name != "roles_of"}
    return StageKind(**{**values, "inputs": inputs, **changes})


def _pair(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """Of a tuned cell: what tuning changes in its library."""
    twin = study.stage_of(replace(cell, tuner="none"), "build") if cell.tuner == "random" else None
    if twin is None:
        return None
    return Draft(Encoded({"by": "the byte"}), {"before": twin, "after": made["build"]}, "weigh both")


def test_a_stage_may_take_another_cells_and_the_cell_has_all_that_it_rests_on() -> None:
    grid = study(tuners=(TUNERS["random"], TUNERS["none"]), runtimes=("tvm",), baseline=None)
    row = replace_inputs({"before": "build", "after": "build"}, draft=_pair, is_goal=True)
    alone = make_plan(grid, cluster(device("a")))
    with STAGE_KINDS.registered("weigh", row):
        plan = make_plan(grid, cluster(device("a")))

        (weighed,) = (stage for stage in plan.stages.values() if stage.kind == "weigh")
        (tuned,) = (planned for planned in plan.cells if planned.cell.tuner == "random")
        (untuned,) = (planned for planned in plan.cells if planned.cell.tuner == "none")
        roles = inputs_by_role(weighed, plan.stages)
        assert roles == {"before": untuned.stages[-2], "after": tuned.stages[tuned.stages.index(tuned.goals[0]) - 1]}
    assert tuned.goals == (tuned.goals[0], weighed.id)
    assert plan.stages[tuned.goals[0]].kind == "measure"
    assert untuned.goals == untuned.stages[-1:]
    kinds = [plan.stages[stage].kind for stage in tuned.stages]
    assert kinds == ["import", "lower", "build", "tune", "build", "measure", "weigh"], "its own come behind"
    assert set(alone.stages) == set(plan.stages) - {weighed.id}


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"bild": "build"}, "weigh: the input bild is not among build, and is given a build"),
        ({"build": "lower"}, "weigh: the input build takes a build, and is given a lower"),
    ],
)
def test_a_draft_with_an_input_that_its_kind_does_not_take_is_refused(inputs: dict[str, str], problem: str) -> None:
    def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
        if not cell.is_compiled:
            return None
        return Draft(Encoded({}), {role: made[kind] for role, kind in inputs.items()}, "weigh")

    with (
        STAGE_KINDS.registered("weigh", replace_inputs({"build": "build"}, draft=draft)),
        pytest.raises(PlanError, match=problem),
    ):
        make_plan(study(), cluster(device("a")))


def test_the_size_of_a_pool_is_told_and_what_stages_share_is_left_as_it_is() -> None:
    plan = make_plan(study(tuners=(TUNERS["random"],), opt_levels=(1, 3)), cluster(device("a"), device("b")))
    tunes = [stage for stage in plan.stages.values() if stage.kind == "tune"]
    hints = {"records": "records/x", "linker": None}
    stages = [Stage(name, "tune", {}, hints, (), name) for name in "ab"]

    assert [stage.hints["members"] for stage in tunes] == [2, 2, 2, 2]
    assert [
        stage.hints["members"] for stage in with_members([*stages, replace(stages[0], hints={"records": "y"})])
    ] == [
        2,
        2,
        1,
    ]
    assert hints == {"records": "records/x", "linker": None}
