"""What a study says of the samples that quantised networks are calibrated on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.api.written_studies.study_document import as_document
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.results.layer_advice_results import LayerLatencies
from sweep.planning.results.quantising import CalibrateResult, LayerError, LayerErrorsResult
from sweep.planning.sharing.names_in_cell import names_in_cell
from sweep.planning.stage import Stage
from sweep.planning.stages import layer_advice
from sweep.study.gate import study_of
from sweep.study.spec import Study
from sweep.toolchain.quantisation.advice_job import by_gain_for_cost
from tests.planning.grids import cluster, device

DIGITS = {"digits": {"sklearn": "digits"}}
ONE_CLASS = {"name": "zeros", "dtype": "int8", "calibrate_classes": [0, 0]}


def _study(*precisions: Any, **further: Any) -> Study:
    axes = {"precision": list(precisions)}
    document = {"study": "a", "models": ["onnx-light:squeezenet"], "axes": axes, "runtimes": ["tvm"], **further}
    return study_of(document, Path())


def _stages(study: Study, kind: str) -> list[Stage]:
    plan = make_plan(study, cluster(device("one")))
    return [stage for stage in plan.stages.values() if stage.kind == kind]


def test_where_nothing_is_said_samples_are_made_up() -> None:
    (stage,) = _stages(_study("float32", "int8"), "calibrate")
    assert stage.options == {"samples": 32, "seed": 0}
    assert not _stages(_study("float32", calibration={"random": 5}), "calibrate")


def test_a_data_set_is_told_by_its_content_and_its_packages() -> None:
    study = _study("int8", ONE_CLASS, datasets=DIGITS, calibration={"dataset": "digits", "samples": 64})
    every, one = _stages(study, "calibrate")
    assert every.options["dataset"] == study.datasets["digits"].options
    assert every.options["samples"] == 64
    assert "scikit-learn" in every.versions
    assert every.hints["dataset"] == "digits"
    assert one.options == {**every.options, "calibrate_classes": [0]}
    assert one.label.endswith("on classes 0")
    numbers = {"numbers": {"sklearn": "digits"}}
    renamed = _study("int8", datasets=numbers, calibration={"dataset": "numbers", "samples": 64})
    assert [stage.id for stage in _stages(renamed, "calibrate")] == [every.id]


def test_to_ask_for_as_many_as_are_usual_is_the_same_work() -> None:
    usual, asked = (
        _study("int8", datasets=DIGITS, calibration={"dataset": "digits", **further})
        for further in ({}, {"samples": 128})
    )
    assert _stages(usual, "calibrate") == _stages(asked, "calibrate")
    assert usual.calibration == asked.calibration
    assert (usual.calibration.is_asked, asked.calibration.is_asked) == (False, True)


def test_layers_are_compared_where_it_is_asked_for() -> None:
    assert not _stages(_study("int8"), "layer_errors")
    assert len(_stages(_study("float32", "int8", evaluate={"layer_error": True}), "layer_errors")) == 1
    mixed = {"name": "mixed", "dtype": "int8", "float32_worst": 2}
    study = _study("int8", mixed, evaluate={"layer_error": True})
    (compared,) = _stages(study, "layer_errors")
    plain, kept = _stages(study, "quantise")
    assert compared.id in kept.inputs
    assert compared.id not in plain.inputs


@pytest.mark.parametrize(
    "further",
    [
        {"calibration": {"random": 7}},
        {"datasets": DIGITS, "calibration": {"dataset": "digits", "samples": 9}},
        {"datasets": DIGITS, "calibration": {"dataset": "digits"}},
        {"datasets": DIGITS, "calibration": {"dataset": "digits", "samples": 128}},
        {"evaluate": {"layer_error": True}},
        {"datasets": DIGITS, "evaluate": {"dataset": "digits", "layer_error": True}},
        {"evaluate": {"layer_latency": True}},
    ],
)
def test_a_study_that_is_written_reads_as_it_was(further: dict[str, Any]) -> None:
    study = _study("int8", **further)
    written = as_document(study, Path())
    if "calibration" in further:
        assert written["calibration"] == further["calibration"], "no number that nobody has asked for"
    again = study_of(written, Path())
    assert (again.calibration, again.tells_layer_errors) == (study.calibration, study.tells_layer_errors)
    assert again.tells_layer_latencies == study.tells_layer_latencies
    assert (again.evaluate is None) is (study.evaluate is None)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"calibration": {}}, r"calibration: names no samples; allowed: dataset: NAME, random: N, or table: FILE"),
        ({"calibration": {"random": 0}}, r"calibration.random: is out of range \(got 0\)"),
        ({"calibration": {"dataset": "digits", "random": 3}}, r"calibration.random: does not go with dataset"),
        ({"calibration": {"random": 3, "samples": 3}}, r"calibration.samples: is of a data set"),
        ({"calibration": {"dataset": "digit"}}, r"calibration.dataset: is no data set, did you mean 'digits'"),
        ({"axes": {"precision": [ONE_CLASS]}}, r"calibration: is calibrated on classes \[0\] \(got 'zeros'\)"),
        (
            {
                "axes": {
                    "precision": ["float32", {"name": "mix", "dtype": "int8", "float32_advised": 2, "per": "tensor"}]
                }
            },
            r"axes.precision: keeps layers by the advice on the same precision without float32_advised",
        ),
        ({"evaluate": {}}, r"evaluate.dataset: is missing; allowed: .* or layer_error: true"),
    ],
)
def test_a_slip_is_told_in_one_line(further: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message) as raised:
        study_of({"study": "a", "models": ["onnx-light:squeezenet"], "datasets": DIGITS, **further}, Path())
    assert "\n" not in str(raised.value)


WORST = {"name": "worst", "dtype": "int8", "float32_worst": 1}
MIX = {"name": "mix", "dtype": "int8", "float32_advised": 1}


@pytest.mark.parametrize(
    ("precisions", "timed"),
    [
        (("float32", "int8", WORST), {"float32", "int8"}),
        (("float32", WORST), {"float32", "worst"}),
        (("float32", WORST, {**MIX, "float32_worst": 1}), {"float32", "worst"}),
        (("float32", "int8", WORST, {**MIX, "float32_worst": 1}), {"float32", "int8", "worst"}),
    ],
)
def test_a_precision_that_keeps_the_worst_layers_is_timed_where_nothing_else_tells_its_times(
    precisions: tuple[Any, ...], timed: set[str]
) -> None:
    plan = make_plan(_study(*precisions, evaluate={"layer_latency": True}), cluster(device("one")))
    kinds = {one.cell.precision: {plan.stages[goal].kind for goal in one.goals} for one in plan.cells}
    assert {name for name, goals in kinds.items() if "layer_latencies" in goals} == timed
    assert {name for name, goals in kinds.items() if "layer_advice" in goals} == timed - {"float32"}


def test_advice_takes_a_tuned_float32_build_that_a_float32_cell_shares() -> None:
    alone, beside = (
        make_plan(_study(*names, MIX, tuners=["random"]), cluster(device("one")))
        for names in (("int8",), ("float32", "int8"))
    )
    shared = {stage for planned in beside.cells if planned.cell.precision == "float32" for stage in planned.stages}
    found = [stage.kind for stage in alone.stages.values() if stage.id in shared]
    assert sorted(found) == ["import", "layer_latencies", "lower", "tune"], "neither built nor measured as a whole"
    assert set(alone.stages) < set(beside.stages)


def test_the_worst_layers_are_not_advised_where_the_judged_precision_keeps_them() -> None:
    (stage,) = _stages(_study("float32", WORST, {**MIX, "float32_worst": 1}), "layer_advice")
    assert stage.options["float32_worst"] == 1
    layers = tuple(LayerError(name, "Conv", alone_final_cosine_distance=0.1) for name in ("a", "b", "c"))
    inputs = {
        "calibrate": CalibrateResult(dir="artifacts/calibrate/1"),
        "layer_errors": LayerErrorsResult(layers=layers, ranked=("b", "a", "c")),
        "layer_latencies": LayerLatencies(),
        "float32_latencies": LayerLatencies(),
    }
    asked = layer_advice.arguments(stage, inputs, Path())
    assert asked["options"]["float32"] == ["b"]
    assert "float32_worst" not in asked["options"]
    assert by_gain_for_cost(asked["layers"], {}, 1.0) == ["a", "c"]


def test_a_network_that_is_no_onnx_has_a_row_that_says_why(tmp_path: Path) -> None:
    study = _study("float32", "int8", models=["experiments/networks/small.tflite"])
    plan = make_plan(study, cluster(device("one")))
    refused = {planned.cell.precision: planned.refusal for planned in plan.cells}
    assert not refused["float32"]
    assert "int8 is made from onnx, and the importer tflite leaves none" in str(refused["int8"])


@pytest.mark.parametrize("variables", [["latency", "memory"], ["memory"]])
def test_a_mix_that_is_run_for_its_memory_takes_the_advice_on_the_timed_cell(variables: list[str]) -> None:
    mix = {"name": "mix", "dtype": "int8", "float32_advised": 1}
    axes = {"precision": ["int8", mix], "variable": variables}
    plan = make_plan(_study(axes=axes), cluster(device("one")))
    usual = make_plan(_study("int8", mix), cluster(device("one")))
    (advice,) = (stage.id for stage in usual.stages.values() if stage.kind == "layer_advice")
    mixes = [planned for planned in plan.cells if planned.cell.precision == "mix"]
    assert {planned.cell.value("variable") for planned in mixes} == set(variables)
    for planned in mixes:
        assert advice in planned.stages
        assert not planned.refusal
    assert len({stage for planned in mixes for stage in planned.stages if plan.stages[stage].kind == "quantise"}) == 2


@pytest.mark.parametrize(
    ("model", "runtime", "why"),
    [
        ("onnx-light:squeezenet", "onnxruntime", "keeps the layers that are advised for compiled cells"),
        ("experiments/networks/small.tflite", "tvm", "is made from onnx, and the importer tflite leaves none"),
    ],
)
def test_a_mix_without_advice_is_refused_also_where_devices_are_made_up(model: str, runtime: str, why: str) -> None:
    mix = {"name": "mix", "dtype": "int8", "float32_advised": 1}
    study = _study("int8", mix, models=[model], runtimes=["tvm", "onnxruntime"])
    plan = make_plan(study, replace(cluster(device("one")), engine="simulated"))
    refused = {planned.cell.runtime: planned.refusal for planned in plan.cells if planned.cell.precision == "mix"}
    assert refused[runtime] == f"mix {why}"


def test_an_advised_mix_rests_on_the_measured_layers_of_its_neighbours() -> None:
    mix = {"name": "mix", "dtype": "int8", "float32_advised": 1}
    plan = make_plan(_study("float32", "int8", mix, runtimes=["tvm", "onnxruntime"]), cluster(device("one")))
    cells = {planned.cell.precision: planned for planned in plan.cells if planned.cell.is_compiled}
    named = {name: names_in_cell(planned, plan.stages) for name, planned in cells.items()}
    advice = {name: [stage for stage, kind in kinds.items() if kind == "layer_advice"] for name, kinds in named.items()}
    assert advice["mix"] == advice["int8"] != advice["float32"] == []
    own = {kind: stage for stage, kind in named["mix"].items()}
    quantised, build = plan.stages[own["quantise"]], plan.stages[own["build"]]
    assert advice["int8"][0] in quantised.inputs
    assert build.inputs == (own["lower"],)
    for name in ("int8", "mix"):
        own = {kind: stage for stage, kind in named[name].items()}
        assert plan.stages[own["build"]].inputs == (own["lower"],)
        assert plan.stages[own["lower"]].inputs == (own["quantise"],), "names are those of the cell's own stages"
        for number, stage in enumerate(cells[name].stages):
            assert set(plan.stages[stage].inputs) <= set(cells[name].stages[:number]), "inputs come before"
    times = [one for one in plan.stages[advice["int8"][0]].inputs if plan.stages[one].kind == "layer_latencies"]
    assert {stage for name in ("float32", "int8") for stage in cells[name].goals} >= set(times)
    (refused,) = (one.refusal for one in plan.cells if one.cell.precision == "mix" and not one.cell.is_compiled)
    assert refused == "mix keeps the layers that are advised for compiled cells"
