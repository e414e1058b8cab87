"""A cell whose runtime does not take its network: planned without work, kept, told with its reason, and never open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import Standing
from sweep.analysis.outcome import REFUSED
from sweep.analysis.rows.results import derive
from sweep.analysis.rows.runtime_rows import baseline_title
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.planning.planner import make_plan
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan
from sweep.planning.summary import explain
from sweep.report.table import failure_lines
from sweep.running.ledger.saved_plan import restore, saved
from sweep.running.ledger.state import FinishedStage, LedgerState
from sweep.running.ledger.sweep_outcome import sweep_outcome
from sweep.study.importers.importer_registry import IMPORTERS
from sweep.study.spec import Study
from tests.seams.test_toy_importer import cluster, written
from tests.seams.toy_importer import PERCEPTRON

REASON = "it opens onnx; the importer perceptron leaves none"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    with IMPORTERS.registered("perceptron", PERCEPTRON):
        return written(tmp_path, "study: s\nmodels: [net.mlp]\ndevices: [one]\n")


@pytest.fixture
def plan(study: Study) -> Plan:
    with IMPORTERS.registered("perceptron", PERCEPTRON):
        return make_plan(study, cluster())


def test_it_takes_no_stage_and_the_plan_says_why(plan: Plan) -> None:
    refused, compiled = plan.cells
    assert (refused.cell.runtime, refused.stages, refused.goals, refused.refusal) == ("onnxruntime", (), (), REASON)
    assert compiled.stages
    assert plan.cells_with_work == 1
    shown = explain(plan).as_text()
    assert shown.startswith("s: 2 cells, 0 done, 1 refused by its runtime\n")
    assert f"left out: onnxruntime on one: {REASON}" in shown


def test_its_row_has_the_reason_and_nothing_is_open_by_it(study: Study, plan: Plan, tmp_path: Path) -> None:
    """Also in a folder that is read without the package that refused."""
    SweepDir(tmp_path).plan.write_text(json.dumps(saved(study, plan)))
    kept = restore(tmp_path).plan
    assert kept.cells[0] == plan.cells[0]
    state = LedgerState()
    for stage in kept.cells[1].stages:
        kind = kept.stages[stage].kind
        result = Measurement((1e-3,) * 6, output_max_abs_diff=0.0) if kind == "measure" else StageResult()
        state.done[stage] = FinishedStage(kind, result, 1.0, 1, 1.0)
    results = derive(sweep_outcome(kept, "", state, tmp_path))
    refused, compiled = results.cells
    assert (refused["status"], refused["error_class"], refused["error"]) == ("skipped", REFUSED, REASON)
    assert Standing.of(compiled, results.cells).open == ()
    assert not answer(results).startswith("So far")
    assert failure_lines(results.cells) == [f"net onnxruntime one: skipped (Refused): {REASON}"]


def test_a_study_that_nothing_takes_is_refused(tmp_path: Path) -> None:
    with IMPORTERS.registered("perceptron", PERCEPTRON):
        study = written(tmp_path, "study: s\nmodels: [net.mlp]\nruntimes: [onnxruntime]\n")
        with pytest.raises(StudyError, match=rf"runtimes: has none that takes a model .* onnxruntime on one: {REASON}"):
            make_plan(study, cluster())


def test_a_model_that_the_baseline_refuses_is_held_against_what_takes_it(tmp_path: Path) -> None:
    toy = "tests.seams.toy_runtime:TOY"
    text = (
        f"study: s\nmodels: [net.mlp, onnx-light:squeezenet]\ndevices: [one]\nruntimes: [tvm, onnxruntime, '{toy}']\n"
    )
    with IMPORTERS.registered("perceptron", PERCEPTRON):
        study = written(tmp_path, text)
        plan = make_plan(study, cluster())
    assert (plan.baseline, plan.baselines) == ("onnxruntime", {"net": toy})
    SweepDir(tmp_path).plan.write_text(json.dumps(saved(study, plan)))
    kept = restore(tmp_path).plan
    state = LedgerState()
    times_ms = {"onnxruntime": 2.0, toy: 4.0, "tvm": 8.0}
    for planned in kept.cells:
        for stage in planned.stages:
            kind = kept.stages[stage].kind
            took_s = times_ms[planned.cell.runtime] / 1e3
            result = Measurement((took_s,) * 6, output_max_abs_diff=0.0) if kind == "measure" else StageResult()
            state.done[stage] = FinishedStage(kind, result, 1.0, 1, 1.0)
    rows = derive(sweep_outcome(kept, "", state, tmp_path)).cells
    told = {(row["model"], row["runtime"]): (row["baseline"], row["ratio_to_baseline"]) for row in rows}
    assert told["net", "tvm"] == (toy, 2.0)
    assert told["net", "onnxruntime"] == (toy, None)
    assert told["squeezenet", "tvm"] == ("onnxruntime", 4.0)
    assert (baseline_title(rows), baseline_title(rows[:1])) == ("the baseline of its model", "ONNX reference")
