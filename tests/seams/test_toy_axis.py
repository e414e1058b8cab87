"""An axis from outside the package goes all the way: study file, grid, ids, stages, plan.json, tables, MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

import sweep
from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.bounds import EXACT, Reading
from sweep.analysis.rows.ratios import Ratios
from sweep.analysis.rows.results import Results, Row, derive
from sweep.api.session.table_cache import current_results
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.record.mlflow.run_draft import run_name
from sweep.record.mlflow.run_values import params
from sweep.record.mlflow.ui_view import shown_axes
from sweep.report.page import render_page
from sweep.report.ranking import ranking
from sweep.report.table_columns import main_columns
from sweep.running.ledger.saved_plan import restore
from sweep.study.axes import AXES, axis_names
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, load_study, study_json_schema
from sweep.study.grid import cells
from sweep.study.selection import parse_selection, select
from sweep.study.spec import Cell, Study
from tests.planning.grids import cluster, study
from tests.record.fixtures import sweep_outcome
from tests.seams.installed import install_toys
from tests.seams.toy_axes import PHASE, STREAMS

NET = Cell("net", "native", "none", 3, "NCHW", "float32", 1, "a", "tvm")
CLUSTER = "{name: c, engine: simulated, simulate: {devices: 1, speed: 0, failure_rate: 0}, mlflow: {enabled: false}}"
STUDY = """
study: modes
final: null
models: [onnx-light:squeezenet]
tuners: [none, {name: random, trials_per_task: 2}]
axes: {phase: [inference, training]}
"""


@pytest.fixture
def phase() -> Iterator[None]:
    """The axis is there, as if a package had brought it."""
    with AXES.registered("phase", PHASE):
        yield


def written(folder: Path, text: str) -> Study:
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.yaml")


def of_kind(plan: Plan, kind: str) -> list[dict[str, object]]:
    return [dict(stage.options) for stage in plan.stages.values() if stage.kind == kind]


# -- study file -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("phase")
def test_a_study_file_lists_its_values_and_the_schema_has_them(tmp_path: Path) -> None:
    assert written(tmp_path, STUDY).axes["phase"] == ("inference", "training")
    assert written(tmp_path, STUDY.replace("axes: {phase: [inference, training]}", "")).axes["phase"] == ("inference",)
    listed = study_json_schema()["$defs"]["AxesForm"]["properties"]["phase"]
    assert (listed["items"]["enum"], listed["description"]) == (["inference", "training"], PHASE.meaning)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"study": "s", "models": ["m"], "axes": {"phase": ["dreaming"]}}, study_json_schema())


@pytest.mark.usefixtures("phase")
def test_what_it_is_not_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"axes\.phase\[1\]: 'trainin' is not known here, did you mean 'training'"):
        written(tmp_path, STUDY.replace("training", "trainin"))
    with pytest.raises(StudyError, match=r"exclude\[0\]\.phase.*allowed: inference, training"):
        written(tmp_path, STUDY + "exclude: [{phase: dreaming}]")


def test_without_the_package_the_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"axes\.phase: is not a key here.*allowed: layout, precision, batch"):
        written(tmp_path, STUDY)
    assert "phase" not in study_json_schema()["$defs"]["AxesForm"]["properties"]


@pytest.mark.usefixtures("phase")
def test_rules_and_selections_speak_of_it(tmp_path: Path) -> None:
    everything = list(cells(written(tmp_path, STUDY), cluster()))
    assert {(cell.runtime, cell.value("phase")) for cell in everything} == {
        ("tvm", "inference"),
        ("tvm", "training"),
        ("onnxruntime", "inference"),
    }
    without = list(cells(written(tmp_path, STUDY + "exclude: [{phase: training, tuner: random}]"), cluster()))
    gone = set(everything) - set(without)
    assert {(cell.value("phase"), cell.tuner) for cell in gone} == {("training", "random")}
    alone = STUDY.replace("[inference, training]", "[inference]")
    added = list(cells(written(tmp_path, alone + "include: [{phase: training, tuner: none}]"), cluster()))
    assert [cell.tuner for cell in added if cell.value("phase") == "training"] == ["none"] * 2
    chosen = select(everything, parse_selection("phase=train*,tuner=none,device=one"))
    assert [(everything[index].value("phase"), everything[index].tuner) for index in chosen] == [("training", "none")]


# -- ids --------------------------------------------------------------------------------------------------------------


def test_cells_at_its_default_keep_the_id_that_they_had_before_there_was_such_an_axis() -> None:
    before = NET.id
    assert before == "19c896df97d80e59"
    with AXES.registered("phase", PHASE):
        assert Cell.of({**NET.axes, "phase": "inference"}) == NET
        assert NET.id == before
        training = Cell.of({**NET.axes, "phase": "training"})
        assert (training.more, training.id != before) == ((("phase", "training"),), True)
        assert training.name == "net native none O3 training a"
        assert run_name(training) == "untuned O3 net training a native"
        assert (training.value("phase"), NET.value("phase")) == ("training", "inference")
        assert training.axes == {**NET.axes, "phase": "training"}


def test_stages_at_its_default_are_those_of_before_and_others_are_new() -> None:
    before = make_plan(study(), cluster())
    with AXES.registered("phase", PHASE):
        assert list(make_plan(study(), cluster()).stages) == list(before.stages)
        both = make_plan(study(choices={"phase": ("inference", "training")}), cluster())
    assert set(before.stages) < set(both.stages)
    assert [options.get("phase") for options in of_kind(both, "lower")] == [None, "training"] * 2
    assert not any("phase" in options for kind in ("import", "build", "measure") for options in of_kind(both, kind))
    labels = [stage.label for stage in both.stages.values() if stage.kind == "lower"]
    assert labels == [f"lower a O3{phase} native for {key}" for key in ("one", "two") for phase in ("", " training")]
    assert len({stage.label for stage in both.stages.values()}) == len(both.stages)


def test_one_that_other_runtimes_know_is_measured_in_them_too() -> None:
    with AXES.registered("streams", STREAMS):
        plan = make_plan(study(choices={"streams": (1, 4)}), cluster())
        values = [(planned.cell.runtime, planned.cell.value("streams")) for planned in plan.cells]
        assert sorted(set(values)) == [("onnxruntime", 1), ("onnxruntime", 4), ("tvm", 1), ("tvm", 4)]
        names = [planned.cell.name for planned in plan.cells if planned.cell.device == "one"]
        assert names[:2] == ["a onnxruntime one", "a onnxruntime streams4 one"]
    assert [options.get("streams") for options in of_kind(plan, "measure")].count(4) == 4
    assert len({stage.label for stage in plan.stages.values()}) == len(plan.stages)


# -- plan.json --------------------------------------------------------------------------------------------------------


def test_plan_json_gives_it_back_also_where_the_package_is_not_installed(tmp_path: Path) -> None:
    with AXES.registered("phase", PHASE):
        run = sweep.run(written(tmp_path, STUDY), _cluster(tmp_path), out=tmp_path / "out")
        cells_ = [planned.cell for planned in restore(run.sweep_dir).plan.cells]
        ids, names = [cell.id for cell in cells_], [cell.name for cell in cells_]
        assert {cell.value("phase") for cell in cells_} == {"inference", "training"}
    entries = json.loads((run.sweep_dir / "plan.json").read_text())["cells"]
    assert {entry["id"] for entry in entries} == set(ids)
    assert [entry.get("more") for entry in entries] == [
        None if "train" not in n else {"phase": "training"} for n in names
    ]

    elsewhere = [planned.cell for planned in restore(run.sweep_dir).plan.cells]
    assert ([cell.id for cell in elsewhere], [cell.name for cell in elsewhere]) == (ids, names)
    shown = current_results(run.sweep_dir)  # tables of a plan with an axis that nobody here knows
    assert [row["cell_id"] for row in shown.cells] == ids
    assert all(row["status"] == "done" for row in shown.cells)


def test_a_plan_of_before_is_read_at_its_default(tmp_path: Path) -> None:
    run = sweep.run(written(tmp_path, STUDY.replace("axes:", "# ")), _cluster(tmp_path), out=tmp_path / "out")
    ids = [row["cell_id"] for row in run.results.cells]
    with AXES.registered("phase", PHASE):
        assert [planned.cell.id for planned in restore(run.sweep_dir).plan.cells] == ids
        before = (run.sweep_dir / "ledger.jsonl").read_text().count("attempt_started")
        again = sweep.run(written(tmp_path, STUDY.replace("axes:", "# ")), _cluster(tmp_path), out=run.sweep_dir)
        assert [row["phase"] for row in again.results.cells] == ["inference"] * len(ids)
        after = (run.sweep_dir / "ledger.jsonl").read_text().count("attempt_started")
    assert after == before > 0, "nothing is measured again"


# -- tables, report, MLflow -------------------------------------------------------------------------------------------


def results_of_both(folder: Path) -> Results:
    """A sweep at inference, and the same again, three times as slow, at training."""
    outcome = sweep_outcome(folder, devices=("local-1",), troubles=False)
    learnt = [_trained(cell) for cell in outcome.cells if cell.cell.is_compiled]
    return derive(replace(outcome, cells=[*outcome.cells, *learnt]))


def _trained(outcome: CellOutcome) -> CellOutcome:
    measure = outcome.stages["measure"]
    slow = replace(measure, run_secs=tuple(3 * value for value in measure.run_secs))  # type: ignore[type-var,attr-defined]
    cell = Cell.of({**outcome.cell.axes, "phase": "training"})
    return replace(outcome, cell=cell, stages={**outcome.stages, "measure": slow})


def of_mode(rows: Sequence[Row], value: str) -> list[Row]:
    return [row for row in rows if row["phase"] == value and row["runtime"] == "tvm"]


@pytest.mark.usefixtures("phase")
def test_each_table_has_its_column(tmp_path: Path) -> None:
    run = sweep.run(written(tmp_path, STUDY), _cluster(tmp_path), out=tmp_path / "out")
    for name in ("results", "measurements", "tuning_curves", "tuning_tasks"):
        schema = pq.read_schema(run.sweep_dir / f"{name}.parquet")
        assert schema.names[schema.get_field_index("runtime") + 3] == "phase"
        assert schema.field("phase").metadata[b"description"] == PHASE.meaning.encode()
    table = pq.read_table(run.sweep_dir / "results.parquet").to_pylist()
    assert {(row["runtime"], row["phase"]) for row in table} == {
        ("tvm", "inference"),
        ("tvm", "training"),
        ("onnxruntime", "inference"),
    }


def test_tables_made_without_it_are_made_anew(tmp_path: Path) -> None:
    with AXES.registered("phase", PHASE):
        run = sweep.run(written(tmp_path, STUDY), _cluster(tmp_path), out=tmp_path / "out")
    assert "phase" not in current_results(run.sweep_dir).cells[0]
    with AXES.registered("phase", PHASE):
        assert {row["phase"] for row in current_results(run.sweep_dir).cells} == {"inference", "training"}


@pytest.mark.usefixtures("phase")
def test_a_report_has_its_column_where_it_varies(tmp_path: Path) -> None:
    rows = results_of_both(tmp_path).cells
    assert "phase" in [column.title for column in main_columns(rows)]
    assert ranking(rows, "").filters["phase"] == ["inference", "training"]
    for value in ("inference", "training"):
        assert "phase" not in [column.title for column in main_columns(of_mode(rows, value))]
        assert "phase" not in ranking(of_mode(rows, value), "").filters
    old = [{key: value for key, value in row.items() if key != "phase"} for row in of_mode(rows, "inference")]
    assert "phase" not in [column.title for column in main_columns(old)], "rows that are older than the axis"
    assert "training" in render_page(results_of_both(tmp_path))


@pytest.mark.usefixtures("phase")
def test_cells_are_compared_within_a_mode_and_not_across(tmp_path: Path) -> None:
    results = results_of_both(tmp_path)
    inference, training = of_mode(results.cells, "inference"), of_mode(results.cells, "training")
    assert [row["speedup_vs_untuned"] for row in training] == pytest.approx(
        [row["speedup_vs_untuned"] for row in inference]
    )
    assert all(row["ratio_to_onnxruntime"] for row in inference)
    assert not any(row["ratio_to_onnxruntime"] for row in training), "ONNX Runtime has not learnt"
    best = best_cells(results.cells)
    assert [one.row["phase"] for one in best] == ["inference", "training"]
    said = answer(results)
    assert "squeezenet on local-1: ship ONNX Runtime here: it is fastest" in said
    assert "squeezenet at phase training on local-1: xgb" in said


@pytest.mark.usefixtures("phase")
def test_the_untuned_cell_of_another_mode_is_no_baseline() -> None:
    ratios, training = Ratios("onnxruntime"), Cell.of({**NET.axes, "phase": "training"})
    untuned = next(one for one in sweep_outcome(Path()).cells if one.cell.tuner == "none")
    ratios.note(replace(untuned, cell=NET), _exact(10.0))
    assert ratios.of(replace(NET, tuner="xgb"), _exact(2.0)) == {"speedup_vs_untuned": 5.0, "speedup_bound": "exact"}
    assert ratios.of(replace(training, tuner="xgb"), _exact(2.0)) == {}


def _exact(median_ms: float) -> Reading:
    return Reading(median_ms, median_ms, median_ms, EXACT)


@pytest.mark.usefixtures("phase")
def test_mlflow_has_it_among_the_params(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False).cells[0]
    assert "phase" not in params(outcome)
    assert params(outcome, varied={"phase"})["phase"] == "inference"
    assert params(_trained(outcome))["phase"] == "training"
    assert shown_axes([outcome.cell, _trained(outcome).cell]) == ("phase",)


# -- registering ------------------------------------------------------------------------------------------------------


def test_an_installed_package_brings_it_by_an_entry_point(tmp_path: Path) -> None:
    install_toys(tmp_path / "site", "sweep.axes", {"phase": "tests.seams.toy_axes:PHASE"})
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out"]
    ended = subprocess.run(
        [*command, "--only", "phase=training"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{tmp_path / 'site'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert {(row["phase"], row["status"]) for row in rows} == {("training", "done"), ("inference", "pending")}


def test_one_that_no_stage_can_take_is_refused() -> None:
    with AXES.registered("threads", replace(STREAMS, name="threads")), pytest.raises(StudyError) as refused:
        make_plan(study(choices={"threads": (1, 4)}), cluster())
    assert str(refused.value).startswith("axes: is what a measure stage has already (got 'threads')")
    with AXES.registered("phase", replace(PHASE, stage="lowr")), pytest.raises(StudyError, match="is no kind of stage"):
        make_plan(study(), cluster())


def test_one_without_a_default_or_with_a_strange_name_is_refused() -> None:
    with pytest.raises(ValueError, match="axis phase: the default 'dreaming' is none of its values"):
        replace(PHASE, default="dreaming")
    with pytest.raises(ValueError, match="'Mode!' is no name of an axis"):
        replace(PHASE, name="Mode!")
    with AXES.registered("phase", replace(PHASE, default=None)), pytest.raises(StudyError, match="without a default"):
        axis_names()
    with AXES.registered("modus", PHASE), pytest.raises(StudyError, match="another name than its own"):
        axis_names()


def _cluster(folder: Path) -> Cluster:
    (folder / "cluster.yaml").write_text(CLUSTER, encoding="utf-8")
    return load_cluster(folder / "cluster.yaml")
