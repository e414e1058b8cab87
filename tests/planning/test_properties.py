"""What holds of every plan, whatever the grid."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sweep.errors import StudyError
from sweep.planning.fingerprint import fingerprint
from sweep.planning.kinds import STAGE_KINDS, kind_of
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan, Stage
from sweep.planning.stages.measure import work_of
from sweep.planning.versions import versions_of
from sweep.study.grid import cells
from sweep.study.spec import Cell, Study
from tests.planning.grids import TARGETS, TUNERS, cluster, model, rules, studies

KINDS = STAGE_KINDS.names()
GRIDS = settings(deadline=None)


def _content(stage: Stage) -> dict[str, Any]:
    kind = kind_of(stage)
    by: tuple[tuple[str, ...] | None, str] = (None, "")
    if stage.kind == "measure":
        by = work_of(stage.options["runtime"])
    return {
        "kind": stage.kind,
        "options": stage.options,
        "inputs": list(stage.inputs),
        "versions": dict(versions_of(kind, *by)),
    }


@GRIDS
@given(studies())
def test_there_are_as_many_stages_as_contents_and_ids_are_hashes_of_them(study: Study) -> None:
    plan = make_plan(study, cluster())
    contents = {fingerprint(_content(stage)): stage.id for stage in plan.stages.values()}
    assert len(contents) == len(plan.stages)
    assert all(content == stage_id for content, stage_id in contents.items())
    assert all(key == stage.id for key, stage in plan.stages.items())


@GRIDS
@given(studies())
def test_inputs_come_before_what_takes_them(study: Study) -> None:
    seen: set[str] = set()
    for stage in make_plan(study, cluster()).stages.values():
        assert set(stage.inputs) <= seen
        seen.add(stage.id)


@GRIDS
@given(studies())
def test_each_cell_has_its_stages_in_order_and_no_stage_is_idle(study: Study) -> None:
    plan = make_plan(study, cluster())
    used: set[str] = set()
    for planned in plan.cells:
        stages = [plan.stages[stage_id] for stage_id in planned.stages]
        kinds = [stage.kind for stage in stages]
        assert kinds == sorted(kinds, key=KINDS.index)
        expected = {"import", "measure"} if planned.cell.runtime != "tvm" else {"import", "lower", "build", "measure"}
        is_tuned = planned.cell.tuner not in ("-", "none")
        assert set(kinds) == expected | ({"tune"} if is_tuned else set())
        assert {need for stage in stages for need in stage.inputs} <= set(planned.stages)
        used |= set(planned.stages)
        _check_told(study, planned.cell, {stage.kind: stage.options for stage in stages})
    assert used == set(plan.stages)
    assert plan.naive == Counter(plan.stages[stage].kind for planned in plan.cells for stage in planned.stages)


@GRIDS
@given(studies())
def test_cells_come_in_the_order_of_the_grid_each_once(study: Study) -> None:
    planned = [each.cell for each in make_plan(study, cluster()).cells]
    assert planned == list(cells(study, cluster()))
    assert len(set(planned)) == len(planned)
    assert len({cell.name for cell in planned}) == len({cell.id for cell in planned}) == len(planned)


@GRIDS
@given(studies())
def test_a_baseline_and_one_tuned_cell_of_each_model_and_device_come_first(study: Study) -> None:
    plan = make_plan(study, cluster())
    order = {stage_id: position for position, stage_id in enumerate(plan.stages)}
    waves: dict[bool, dict[tuple[str, str], int]] = {True: {}, False: {}}
    for each in plan.cells:
        group, answered = (each.cell.model, each.cell.device), order[each.stages[-1]]
        wave = waves[each.cell.tuner in ("-", "none")]
        wave[group] = min(answered, wave.get(group, answered))
    tunes = [position for stage_id, position in order.items() if plan.stages[stage_id].kind == "tune"]
    assert not tunes or all(baseline < min(tunes) for baseline in waves[True].values())
    rest = [order[each.stages[-1]] for each in plan.cells if each.cell.tuner not in ("-", "none")]
    first = sorted(waves[False].values())
    assert sorted(set(rest))[: len(set(first))] == sorted(set(first))


@GRIDS
@given(st.data())
def test_no_cell_that_matches_an_exclude_rule_is_left_and_no_other_is_gone(data: st.DataObject) -> None:
    study = data.draw(studies())
    everything = list(cells(study, cluster()))
    chosen = data.draw(st.lists(rules(study), min_size=1, max_size=3))
    expected = [cell for cell in everything if not any(_matches(cell, rule) for rule in chosen)]
    narrowed = dataclasses.replace(study, exclude=tuple(chosen))
    is_left = any(cell.is_compiled for cell in expected) or not any(cell.is_compiled for cell in everything)
    if all(any(_matches(cell, rule) for cell in everything) for rule in chosen) and expected and is_left:
        assert list(cells(narrowed, cluster())) == expected
    else:
        with pytest.raises(StudyError, match=r"exclude.*(matches|leaves) no cell"):
            cells(narrowed, cluster())


@GRIDS
@given(st.data())
def test_an_include_rule_gives_back_what_it_names_and_adds_each_cell_once(data: st.DataObject) -> None:
    study = data.draw(studies())
    everything = list(cells(study, cluster()))
    rule = data.draw(rules(study))
    assume(any(_matches(cell, rule) for cell in everything))
    found = list(cells(dataclasses.replace(study, exclude=(rule,), include=(rule,)), cluster()))
    assert set(found) == set(everything)
    assert len(found) == len(everything)


@GRIDS
@given(st.data())
def test_one_more_value_on_an_axis_only_adds(data: st.DataObject) -> None:
    study = data.draw(studies())
    axis, values = data.draw(
        st.sampled_from(
            [
                ("opt_level", (*study.axes["opt_level"], *(set(range(5)) - set(study.axes["opt_level"])))),
                ("batch", (*study.axes["batch"], 16)),
                ("models", (*study.models, model("new"))),
                ("tuners", tuple({tuner.label: tuner for tuner in (*study.tuners, *TUNERS.values())}.values())),
                ("layout", ("NHWC", "NCHW")),
                ("precision", ("float16", "float32")),
                ("runtimes", ("tvm", "onnxruntime")),
            ]
        )
    )
    changes = {"choices": {**study.choices, axis: values}} if axis in study.axes else {axis: values}
    before, after = make_plan(study, cluster()), make_plan(dataclasses.replace(study, **changes), cluster())
    assert set(before.stages) <= set(after.stages)
    assert _by_cell(before).items() <= _by_cell(after).items()


@GRIDS
@given(studies(), st.randoms())
def test_ids_do_not_depend_on_order_place_or_name(study: Study, random: Any) -> None:
    def shuffled(mapping: Any) -> dict[str, Any]:
        items = list(mapping.items())
        random.shuffle(items)
        return dict(items)

    moved = dataclasses.replace(
        study,
        name="another",
        question="something else?",
        path=Path("/elsewhere/t.yaml"),
        models=tuple(
            dataclasses.replace(each, path=Path("/elsewhere") / each.path.name, inputs=shuffled(each.inputs))
            for each in study.models
        ),
        targets=tuple(dataclasses.replace(each, attrs=shuffled(each.attrs)) for each in study.targets),
        tuners=tuple(dataclasses.replace(each, options=shuffled(each.options)) for each in study.tuners),
    )
    assert _by_cell(make_plan(moved, cluster())) == _by_cell(make_plan(study, cluster()))


@GRIDS
@given(studies())
def test_what_decides_a_result_changes_its_id(study: Study) -> None:
    before = make_plan(study, cluster())
    measured_otherwise = dataclasses.replace(study, measure=dataclasses.replace(study.measure, repeat=11))
    after = make_plan(measured_otherwise, cluster())
    kinds = {kind: {s.id for s in before.stages.values() if s.kind == kind} for kind in KINDS}
    kinds_after = {kind: {s.id for s in after.stages.values() if s.kind == kind} for kind in KINDS}
    assert kinds["measure"].isdisjoint(kinds_after["measure"])
    assert all(kinds[kind] == kinds_after[kind] for kind in KINDS if kind != "measure")
    reseeded = make_plan(dataclasses.replace(study, seed=study.seed + 1), cluster())
    assert set(before.stages).isdisjoint(reseeded.stages)


def _check_told(study: Study, cell: Cell, options: dict[str, Any]) -> None:
    """The stages of a cell are told what the cell says."""
    [network] = [each for each in study.models if each.name == cell.model]
    assert (options["import"]["sha256"], options["import"]["batch"]) == (network.sha256, cell.batch)
    assert (options["measure"]["device"], options["measure"]["runtime"]) == (cell.device, cell.runtime)
    if cell.runtime != "tvm":
        return
    lowered = options["lower"]
    assert (lowered["opt_level"], lowered["layout"], lowered["precision"]) == (
        cell.opt_level,
        cell.layout,
        cell.precision,
    )
    [target] = [each for each in study.targets if each.name == cell.target]
    full = target.on(cluster().device(cell.device))
    assert lowered["target"] == options["build"]["target"] == full
    if "tune" in options:
        assert (options["tune"]["device"], options["tune"]["target"]) == (cell.device, full)
        assert options["tune"]["tuner"]["name"] == TUNERS[cell.tuner].name


def _matches(cell: Cell, rule: dict[str, tuple[Any, ...]]) -> bool:
    return all(getattr(cell, axis) in values for axis, values in rule.items())


def _by_cell(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {planned.cell.id: planned.stages for planned in plan.cells}


def test_the_targets_of_these_tests_include_twins() -> None:
    assert TARGETS["avx2"]["mcpu"] == TARGETS["same-as-avx2"]["mcpu"]
