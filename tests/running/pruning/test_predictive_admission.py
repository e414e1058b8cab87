"""A run that learns, on a real plan: an engine gives each cell the latency that a rule has for it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from sweep.api.predicting.planner_admission import planner_admission
from sweep.api.predicting.predicted_plan import predicted_plan
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.stage import Plan, PlannedCell
from sweep.predict.cells.pruning import AS_GOOD
from sweep.running.contract import Attempt, Done, Report
from sweep.running.driver import drive
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.running.ledger.sweep_outcome import sweep_outcome
from sweep.running.missing_work import is_missing_something
from sweep.running.options import RunOptions
from sweep.running.pruning.predictive_admission import PredictiveAdmission, point_of
from sweep.study.cluster.cluster_file import read_cluster
from sweep.study.gate import load_study
from sweep.study.objective import Objective
from sweep.study.planner_options import PlannerOptions, as_conditions
from sweep.study.spec import Cell, Study
from tests.running.test_driver import ChosenEngine, done, run

STUDY = """
study: grid
question: which is best?
models: [onnx-light:squeezenet, onnx-light:shufflenet, onnx-light:resnet50]
targets: [native, {kind: llvm, mcpu: x86-64-v3, name: avx2}]
tuners: [none, {name: random, trials_per_task: 8}, {name: xgb, trials_per_task: 8}]
opt_levels: [0, 1, 2, 3]
planner: {predictor: self, prune: 0.7, audit: 0.1}
"""
CLUSTER = "name: c\nengine: simulated\nsimulate: {devices: 1}\nmlflow: {enabled: false}\n"
TUNERS = {"none": 3.0, "random": 0.3, "xgb": 0.0}
MODELS = {"squeezenet": -6.0, "shufflenet": -5.0, "resnet50": -3.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("grid")
    (folder / "study.yaml").write_text(STUDY)
    return load_study(folder / "study.yaml")


@pytest.fixture(scope="module")
def plan(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    (file := tmp_path_factory.mktemp("cluster") / "cluster.yaml").write_text(CLUSTER)
    return make_plan(study, read_cluster(file))


def seconds_of(cell: Cell) -> float:
    log_s = MODELS[cell.model]
    if cell.is_compiled:
        log_s += TUNERS[cell.tuner] + 0.1 * (3 - cell.opt_level) + (0.4 if cell.target == "avx2" else 0.0)
    return math.exp(log_s)


class Rule(ChosenEngine):
    """Measures what `seconds_of` says, a percent up and down; fails nothing. The outputs of one tuner are off by 1."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(self._answer)
        self._cells = {goal: planned.cell for planned in plan.cells for goal in planned.goals}

    def _answer(self, attempt: Attempt) -> Report:
        if attempt.stage.id not in self._cells:
            return done(attempt)
        seconds = seconds_of(self._cells[attempt.stage.id])
        values = tuple(seconds * (1 + 0.002 * number) for number in range(-5, 6))
        off = 1.0 if self._cells[attempt.stage.id].tuner == "xgb" else 0.0
        measured = Measurement(run_secs=values, number=1, output_max_abs_diff=off)
        return Done(attempt.stage.id, attempt.number, measured, 1.0, "w")

    @property
    def measured(self) -> list[Cell]:
        return [self._cells[stage] for stage, _ in self.started if stage in self._cells]


def admission(plan: Plan, folder: Path) -> PredictiveAdmission:
    state = read_ledger(folder) if (folder / "ledger.jsonl").is_file() else None
    earlier = {} if state is None else {stage: finished.result for stage, finished in state.done.items()}
    return PredictiveAdmission(plan, PlannerOptions(prune=0.7, audit=0.1), earlier=earlier)


def test_many_cells_are_spared_and_the_best_of_each_network_is_found(plan: Plan, tmp_path: Path) -> None:
    engine = Rule(plan)
    status, _ = run(tmp_path, engine, plan, admission=admission(plan, tmp_path))
    assert status == "done"
    cells = sweep_outcome(plan, "", read_ledger(tmp_path), tmp_path).cells
    spared = [cell for cell in cells if cell.status == "skipped"]
    assert len(spared) + len(engine.measured) == len(plan.cells)
    assert len(spared) >= 0.4 * len(plan.cells)
    best = {min((c.cell for c in cells if c.cell.model == m and c.cell.is_compiled), key=seconds_of).id for m in MODELS}
    assert best <= {cell.id for cell in engine.measured}
    assert all(cell.cell.is_compiled for cell in spared)
    for cell in spared:
        assert cell.predicted is not None
        assert (1 - AS_GOOD) * cell.predicted.best_s < cell.predicted.low_s < cell.predicted.high_s
        assert cell.error is not None
        assert cell.error.startswith("predicted to take ")
    audited = [cell for cell in cells if cell.predicted is not None and cell.status == "done"]
    assert audited
    assert all(cell.predicted and cell.predicted.is_audited for cell in audited)


def test_of_untuned_and_tuned_cells_it_sees_some_before_all_of_either(plan: Plan, tmp_path: Path) -> None:
    engine = Rule(plan)
    run(tmp_path, engine, plan, admission=admission(plan, tmp_path))
    first = engine.measured[: len(plan.cells) // 4]
    assert {cell.tuner for cell in first} >= {"none", "random", "xgb"}


def test_a_run_that_was_cut_goes_on_with_what_it_knows(plan: Plan, tmp_path: Path) -> None:
    class Cut(Rule):
        def _answer(self, attempt: Attempt) -> Report:
            if len(self.measured) > len(plan.cells) // 4:
                raise KeyboardInterrupt
            return super()._answer(attempt)

    assert run(tmp_path, Cut(plan), plan, admission=admission(plan, tmp_path))[0] == "interrupted"
    rest = Rule(plan)
    assert run(tmp_path, rest, plan, admission=admission(plan, tmp_path))[0] == "done"
    cells = sweep_outcome(plan, "", read_ledger(tmp_path), tmp_path).cells
    assert {cell.status for cell in cells} == {"done", "skipped"}
    assert sum(cell.status == "skipped" for cell in cells) >= 0.4 * len(cells)
    again = Rule(plan)
    run(tmp_path, again, plan, admission=admission(plan, tmp_path))
    assert again.measured == [], "the next run skips them again"


def test_a_measured_sweep_tells_what_the_cells_of_a_plan_take_and_which_would_be_spared(plan: Plan) -> None:
    known = [(point_of(planned.cell), seconds_of(planned.cell)) for planned in plan.cells[::2]]
    predicted = predicted_plan(plan, known, "sweeps/first", options=PlannerOptions(prune=0.5), seconds={})
    compiled = [planned.cell for planned in plan.cells if planned.cell.is_compiled]
    assert len(predicted.cells) == len(compiled)
    for one in predicted.cells:
        assert one.low_ms <= 1e3 * seconds_of(one.cell) <= one.high_ms
    spared = {one.cell.id for one in predicted.cells if one.is_spared}
    assert 0.3 * len(plan.cells) <= len(spared) <= 0.5 * len(plan.cells)
    assert not spared & {min((c for c in compiled if c.model == model), key=seconds_of).id for model in MODELS}
    assert 0 < predicted.pruned_s < predicted.remaining_s
    text = predicted.as_text()
    assert text.startswith(f"predicted from {len(known)} cells of sweeps/first; likely the fastest:\n  squeezenet ")
    assert f"with a planner {len(spared)} of 72 compiled cells would be spared from the beginning: " in text
    assert predicted.as_dict()["spared"] == len(spared)


def test_cells_that_say_nothing_of_each_other_predict_nothing(plan: Plan) -> None:
    draw = Random(0)
    known = [(point_of(planned.cell), draw.lognormvariate(-4.0, 0.7)) for planned in plan.cells]
    with pytest.raises(StudyError, match="say too little of each other"):
        predicted_plan(plan, known, "sweeps/first", options=PlannerOptions(), seconds={})


@pytest.mark.parametrize("is_limited", [True, False])
def test_a_fast_cell_that_breaks_a_limit_spares_no_other(
    study: Study, plan: Plan, tmp_path: Path, is_limited: bool
) -> None:
    """One tuner is the fastest everywhere, and its outputs are off by more than the study allows."""
    if is_limited:
        plan = replace(plan, objective=Objective(subject_to={"output_max_abs_diff": 0.1}))
    engine = Rule(plan)
    with Ledger(tmp_path) as ledger:
        seeded = replace(study, seed=1)  # explores none of the best that keep the limit
        options = RunOptions(admission=planner_admission(seeded, plan, ledger))
        drive(plan, engine, ledger, tmp_path, observers=[], options=options)
    keeping = [planned.cell for planned in plan.cells if planned.cell.is_compiled and planned.cell.tuner != "xgb"]
    best = {min((cell for cell in keeping if cell.model == model), key=seconds_of).id for model in MODELS}
    assert (best <= {cell.id for cell in engine.measured}) is is_limited
    assert len(engine.measured) < 0.7 * len(plan.cells)


def test_a_plan_with_limits_spares_nothing_before_any_cell_is_known_to_keep_them(plan: Plan) -> None:
    known = [(point_of(planned.cell), seconds_of(planned.cell)) for planned in plan.cells[::2]]
    limited = replace(plan, objective=Objective(subject_to={"output_max_abs_diff": 0.1}))
    predicted = predicted_plan(limited, known, "sweeps/first", options=PlannerOptions(prune=0.5), seconds={})
    assert not any(one.is_spared for one in predicted.cells)
    assert predicted.pruned_s == predicted.remaining_s


def test_a_cell_that_its_runtime_refuses_is_no_cell_to_learn_from(plan: Plan, tmp_path: Path) -> None:
    refused = next(planned.cell for planned in plan.cells if not planned.cell.is_compiled)
    cells = [PlannedCell(refused, (), refusal="it opens onnx"), *(one for one in plan.cells if one.cell is not refused)]
    plan = replace(plan, cells=cells)
    assert run(tmp_path, Rule(plan), plan, admission=admission(plan, tmp_path))[0] == "done"
    assert sum(cell.predicted is not None for cell in sweep_outcome(plan, "", read_ledger(tmp_path), tmp_path).cells)


def test_a_run_without_a_planner_measures_what_was_spared_and_keeps_the_audit(plan: Plan, tmp_path: Path) -> None:
    run(tmp_path, Rule(plan), plan, admission=admission(plan, tmp_path))
    state = read_ledger(tmp_path)
    audited = {cell for cell, one in state.predicted.items() if one.is_audited}
    assert audited
    assert audited < state.predicted.keys()
    rest = Rule(plan)
    run(tmp_path, rest, plan)
    assert {cell.id for cell in rest.measured} == state.predicted.keys() - audited
    cells = sweep_outcome(plan, "", read_ledger(tmp_path), tmp_path).cells
    assert {cell.status for cell in cells} == {"done"}
    assert {cell.cell.id for cell in cells if cell.predicted is not None} == audited


def test_a_cell_that_was_to_be_audited_and_is_not_measured_was_not_spared(plan: Plan, tmp_path: Path) -> None:
    cell = plan.cells[-1].cell
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={})
        ledger.append("cell_audited", cell=cell.id, predicted=PredictedLatency(2.0, 3.0, 1.0, True).to_json())
        ledger.append("run_ended", status="stopped", reason="the budget of the run is used up")
    outcome = sweep_outcome(plan, "", read_ledger(tmp_path), tmp_path).cells[-1]
    assert (outcome.cell, outcome.status, outcome.predicted) == (cell, "skipped", None)


def test_what_one_planner_has_spared_is_work_for_another(study: Study, plan: Plan, tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        options = RunOptions(admission=planner_admission(study, plan, ledger))
        noted = as_conditions(study.planner)
        drive(plan, Rule(plan), ledger, tmp_path, observers=[], options=options, conditions=noted)
    assert study.planner is not None
    planners = [study.planner, replace(study.planner, prune=0.2), replace(study.planner, predictor="other"), None]
    with Ledger(tmp_path) as ledger:
        missing = [
            is_missing_something(replace(study, planner=planner), plan, ledger, tmp_path, RunOptions())
            for planner in planners
        ]
    assert missing == [False, True, True, True]
