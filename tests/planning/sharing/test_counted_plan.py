"""A plan in numbers says what the plan itself would, and drafts a stage once for all cells that it is the same for."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import StudyError
from sweep.planning.draft import Draft, Drafting
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.planner import make_plan
from sweep.planning.sharing.counted_plan import count_plan
from sweep.planning.sharing.shared_stages import SharedStages
from sweep.planning.stage import Plan
from sweep.planning.stage_kind import StageKind
from sweep.planning.summary import explain, explain_counted
from sweep.study.cell import Cell
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, load_study
from sweep.study.grid import Grid
from sweep.study.spec import Study
from tests.planning.grids import TUNERS, cluster, device, model, rules, studies, study

GOLDEN = Path(__file__).parents[2] / "golden"


def _counted(asked: Study, where: Cluster) -> dict[str, object] | None:
    counted = count_plan(asked, where)
    return None if counted is None else explain_counted(counted).as_dict()


@given(st.data())
def test_a_plan_in_numbers_is_the_plan_counted(data: st.DataObject) -> None:
    asked = data.draw(studies())
    asked = dataclasses.replace(
        asked,
        exclude=tuple(data.draw(st.lists(rules(asked), max_size=2))),
        include=tuple(data.draw(st.lists(rules(asked), max_size=2))),
    )
    try:
        plan = make_plan(asked, cluster())
    except StudyError:
        assume(False)
        raise
    assert _counted(asked, cluster()) == explain(plan).as_dict()


@given(studies())
def test_drafts_that_are_shared_give_the_stages_of_drafts_that_are_not(asked: Study) -> None:
    """Every cell's stages, drafted for it alone, have the ids, labels and options that the plan has."""
    try:
        shared = make_plan(asked, cluster())
    except StudyError:
        assume(False)
        raise
    alone = SharedStages(asked, cluster())
    for memo in alone._memos:
        memo.is_shared = False
        memo.learn = lambda *args: None  # type: ignore[method-assign]
    grid = Grid(asked, cluster())
    of_cells = {cell.id: alone.of(cell).stages for cell in grid.cells() if grid.refusals.of(cell) is None}
    alone.complete()
    assert {planned.cell.id: planned.stages for planned in shared.cells if not planned.refusal} == of_cells
    assert {key: _without_label(one) for key, one in shared.stages.items()} == {
        key: _without_label(one) for key, one in alone.by_id.items()
    }
    assert Counter(shared.naive) == alone.naive()


def _without_label(stage: object) -> object:
    return dataclasses.replace(stage, label="")  # type: ignore[type-var]  # of the first cell that asks, by order


@pytest.mark.parametrize(
    ("study_file", "cluster_file"),
    [
        (GOLDEN / "every_option.yaml", GOLDEN / "every_option_cluster.yaml"),
        (GOLDEN / "study.yaml", GOLDEN / "cluster.yaml"),
    ],
    ids=["every option", "small"],
)
def test_it_holds_of_whole_files(study_file: str, cluster_file: str) -> None:
    asked, where = load_study(GOLDEN / study_file), load_cluster(GOLDEN / cluster_file)
    assert _counted(asked, where) == explain(make_plan(asked, where)).as_dict()


def test_a_million_cells_take_some_hundred_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, since a time says more about the machine: a draft takes 20 us, and a stage of each cell a kilobyte."""
    drafts: Counter[str] = Counter()

    def counting(kind: StageKind) -> StageKind:
        def draft(drafting: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
            drafts[kind.name] += 1
            assert kind.draft is not None
            return kind.draft(drafting, cell, made)

        return dataclasses.replace(kind, draft=draft)

    kinds = {kind.name: counting(kind) if kind.draft else kind for kind in STAGE_KINDS}
    monkeypatch.setattr("sweep.planning.sharing.counted_plan.STAGE_KINDS", _Kinds(kinds))
    asked = study(
        models=tuple(model(f"m{i}") for i in range(20)),
        tuners=(TUNERS["none"], *(dataclasses.replace(TUNERS["xgb"], label=f"x{i}") for i in range(49))),
        opt_levels=tuple(range(5)),
        batches=tuple(range(1, 21)),
        runtimes=("tvm",),
    )
    where = cluster(*(device(f"d{i}") for i in range(10)))
    counted = count_plan(asked, where)
    assert counted is not None
    assert counted.cells == 1_000_000
    assert explain_counted(counted).as_dict()["stages"] == {
        "import": 400,
        "lower": 2_000,
        "tune": 20_000,  # labels apart, the 49 tuners are one
        "build": 22_000,
        "measure": 40_000,
    }
    assert sum(drafts.values()) < 2_100


class _Kinds:
    """A registry of these."""

    def __init__(self, kinds: Mapping[str, StageKind]) -> None:
        self._kinds = kinds

    def names(self) -> tuple[str, ...]:
        return tuple(self._kinds)

    def __iter__(self) -> Iterator[StageKind]:
        return iter(self._kinds.values())


def test_a_stage_that_takes_another_cells_is_drafted_for_each_cell() -> None:
    """Its inputs are not what its own cell's choices tell, so that nothing of it can be counted before it is made."""

    def draft(drafting: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
        if not cell.is_compiled:
            return None
        untuned = drafting.stage_of(dataclasses.replace(cell, tuner="none"), "build")
        options = drafting.once(("beside", cell.device), lambda: drafting.options("beside", cell, {}))
        return Draft(options, {"own": made["build"], "plain": str(untuned)}, f"beside {cell.name}")

    beside = StageKind(
        name="beside",
        inputs={"own": "build", "plain": "build"},
        place=STAGE_KINDS.get("build").place,
        result=STAGE_KINDS.get("build").result,
        draft=draft,
        error_class="BuildFailed",
        job="somewhere:job",
        limit_s=1.0,
    )
    asked = study(tuners=(TUNERS["none"], TUNERS["random"]), opt_levels=(0, 3))
    with STAGE_KINDS.registered("beside", beside):
        plan: Plan = make_plan(asked, cluster())
        assert count_plan(asked, cluster()) is None
    found = [stage for stage in plan.stages.values() if stage.kind == "beside"]
    assert len(found) == 8
    assert sum(len(set(stage.inputs)) == 2 for stage in found) == 4
    naive = Counter(plan.stages[one].kind for planned in plan.cells for one in planned.stages)
    assert Counter(plan.naive) == naive


def test_what_is_kept_for_the_inputs_of_one_cell_is_not_taken_for_those_of_another() -> None:
    """A draft may be kept by the id of its input alone, which tells it all that the options depend on."""

    def draft(drafting: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
        def drafted() -> Draft:
            options = drafting.options("seen", cell, {"model": drafting.models[cell.model].sha256})
            return Draft(options, {"import": made["import"]}, f"see {cell.model}")

        return drafting.once(("seen", made["import"]), drafted)

    seen = StageKind(
        name="seen",
        inputs={"import": "import"},
        place=STAGE_KINDS.get("build").place,
        result=STAGE_KINDS.get("build").result,
        draft=draft,
        error_class="BuildFailed",
        job="somewhere:job",
        limit_s=1.0,
    )
    asked = study(models=tuple(model(name) for name in "abc"))
    with STAGE_KINDS.registered("seen", seen):
        plan = make_plan(asked, cluster())
        counted = _counted(asked, cluster())
    told = {stage.label: stage.options["model"] for stage in plan.stages.values() if stage.kind == "seen"}
    assert told == {f"see {name}": model(name).sha256 for name in "abc"}
    assert counted is not None
    assert counted["stages"]["seen"] == 3  # type: ignore[index]
