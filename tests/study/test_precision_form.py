"""Precisions that a study describes: their names are values of the axis, their options are what stages are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.api.written_studies.study_document import as_document
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.study.gate import study_of
from sweep.study.precisions import QUANTISED, precision_of
from sweep.study.spec import Study
from tests.planning.grids import cluster, device

MIXED = {"name": "mixed", "dtype": "float16", "float32": ["head*", "conv1", "conv1"], "float32_first": True}


def _study(*precisions: Any, **further: Any) -> Study:
    axes = {"precision": list(precisions)}
    document = {"study": "a", "models": ["onnx-light:squeezenet"], "runtimes": ["tvm"], "axes": axes}
    return study_of(document | further, Path())


def _plan(*precisions: Any) -> Plan:
    return make_plan(_study(*precisions), cluster(device("one")))


def _lowered(plan: Plan) -> list[dict[str, Any]]:
    return [dict(stage.options) for stage in plan.stages.values() if stage.kind == "lower"]


def test_its_name_is_the_value_and_its_options_are_what_is_lowered() -> None:
    plan = _plan("float32", MIXED)
    assert [planned.cell.precision for planned in plan.cells] == ["float32", "mixed"]
    assert plan.cells[1].cell.name.endswith("O3 mixed one")
    plain, mixed = _lowered(plan)
    assert plain["precision"] == "float32"
    assert "precision_options" not in plain
    assert mixed["precision"] == "float16"
    assert mixed["precision_options"] == {"float32": ["conv1", "head*"], "float32_first": True}
    thresholds = {stage.options["threshold"] for stage in plan.stages.values() if stage.kind == "measure"}
    assert thresholds == {1e-3, 1e-2}


def test_another_name_of_the_same_options_is_the_same_work() -> None:
    one, other = _plan("float16"), _plan({"name": "half", "dtype": "float16"})
    assert list(one.stages) == list(other.stages)
    assert one.cells[0].cell.id != other.cells[0].cell.id
    assert list(_plan(MIXED).stages) == list(_plan(MIXED | {"name": "m2", "float32": ["conv1", "head*"]}).stages)
    assert set(_plan(MIXED).stages) != set(one.stages)


def test_every_default_of_a_quantised_one_is_an_option_of_its_stages() -> None:
    named = _study({"name": "bad", "dtype": "int8", "strategy": None, "per": "tensor"}, "int8")
    assert precision_of("bad", named.described).options == {**QUANTISED, "strategy": "null", "per": "tensor"}
    assert precision_of("int8", named.described).options == QUANTISED
    assert precision_of("bad", named.described).needs_calibration
    plain, described = _plan("int8"), _plan({"name": "default", "dtype": "int8"})
    assert list(plain.stages) == list(described.stages)


def test_a_study_that_is_written_reads_as_it_was() -> None:
    study = _study("float32", MIXED)
    again = study_of(as_document(study, Path()), Path())
    assert again.described == study.described
    assert again.choices == study.choices


def test_rules_speak_of_it_by_its_name() -> None:
    include, exclude = [{"precision": "float16", "opt_level": 0}], [{"precision": "mixed"}]
    cells = make_plan(_study("float32", MIXED, include=include, exclude=exclude), cluster(device("one"))).cells
    assert [planned.cell.precision for planned in cells] == ["float32", "float16"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("flot16", r"axes.precision\[0\]: 'flot16' is not known here, did you mean 'float16'"),
        (5, r"axes.precision\[0\]: has the wrong type \(got 5\)"),
        ({"dtype": "float16"}, r"axes.precision\[0\].name: is missing"),
        ({"name": "m"}, r"axes.precision\[0\].dtype: is missing"),
        ({"name": "m", "dtype": "int9"}, r"precision\[0\].dtype: is no number type .*'int9'\); allowed: .*float16"),
        ({"name": "m", "dtype": "float32"}, r"precision\[0\].dtype: is no number type that a network is converted to"),
        ({"name": "m", "dtype": "float16", "per": "channel"}, r"\[0\].per: is an option of int8, not of float16"),
        ({"name": "m", "dtype": "float16", "float32_worst": 1}, r"\[0\].float32_worst: is an option of int8"),
        ({"name": "m", "dtype": "int8", "float32_worst": 0}, r"\[0\].float32_worst: is out of range"),
        ({"name": "m", "dtype": "int8", "percentile": 99}, r"\[0\].percentile: is of another calibration"),
        ({"name": "m", "dtype": "int8", "calibrate": "kl2"}, r"\[0\].calibrate: 'kl2' is not known here"),
        ({"name": "float32", "dtype": "float16"}, r"\[0\].name: is the name of another precision than float16"),
        ({"name": "m", "dtype": "float16", "pre": "tensor"}, r"\[0\].pre: is not a key here, did you mean 'per'"),
        ({"name": "m", "dtype": "float16", "float32": "conv"}, r"\[0\].float32: has the wrong type"),
    ],
)
def test_a_slip_is_told_in_one_line(entry: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message) as raised:
        _study(entry)
    assert "\n" not in str(raised.value)


def test_a_name_stands_for_one_thing() -> None:
    with pytest.raises(StudyError, match=r"axes.precision\[1\]: is the same as axes.precision\[0\]"):
        _study(MIXED, {"name": "mixed", "dtype": "float16"})
    with pytest.raises(
        StudyError, match=r"include\[0\].precision: .* allowed: mixed, float32, float16, bfloat16, int8"
    ):
        _study(MIXED, include=[{"precision": "mixt"}])


def test_a_layer_that_no_file_has_is_told_before_anything_is_done(tmp_path: Path) -> None:
    from sweep.api.inspecting.named_layers_check import check_layer_names
    from tests.tflite_files import classifier

    (tmp_path / "net.tflite").write_bytes(classifier())
    documents = [
        {"study": "a", "models": ["net.tflite"], "runtimes": ["tvm"], "axes": {"precision": ["float32", entry]}}
        for entry in ({**MIXED, "float32": ["*sec*", "3 scores"]}, {**MIXED, "float32": ["*sec*", "3 scroes"]})
    ]
    right, wrong = (study_of(document, tmp_path) for document in documents)
    check_layer_names(right, make_plan(right, cluster(device("one"))))
    allowed = "allowed: 0 first, 1 second, 3 scores, did you mean '3 scores'"
    told = rf"axes.precision\[1\].float32: is no layer of net \(got '3 scroes'\); {allowed}"
    with pytest.raises(StudyError, match=told):
        check_layer_names(wrong, make_plan(wrong, cluster(device("one"))))
