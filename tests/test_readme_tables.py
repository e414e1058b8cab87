"""The README's tables are the program's own: keys, tuners, opt levels, error classes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from sweep import errors
from sweep.study.study_form import MeasureForm, StudyForm
from sweep.study.tuners import CATALOGUE, SearchForm
from sweep.toolchain.lowering import RECIPES
from tests.page import code, table


def test_study_keys_and_their_defaults() -> None:
    keys = {key: row for row in table("key", 0) for key in code(row[0])}
    assert {"study", *keys} == {field.alias or name for name, field in StudyForm.model_fields.items()}
    measure = dict(re.findall(r"`(\w+)` ([\w.]+)", keys["measure"][2]))
    measure.pop("number")
    fields = MeasureForm.model_fields
    assert measure == {name: _as_yaml(fields[name].default) for name in fields if name != "number"}
    for key in ("targets", "tuners", "opt_levels", "reference", "seed"):
        default = StudyForm.model_fields[key].default
        assert keys[key][1].strip("`").strip("[]") == str(default).strip("[]").replace("'", "")
    networks = keys["models"][2].partition("one of ")[2].split(", ")
    assert {f"light_{name}" for name in networks} == {path.stem for path in _light_folder().glob("light_*.onnx")}


def test_tuners_and_their_options() -> None:
    rows = table("tuner")
    assert [code(row[0])[0] for row in rows] == list(CATALOGUE)
    for row in rows:
        fields = CATALOGUE[code(row[0])[0]].model_fields
        for option, default in re.findall(r"`(\w+)` (\d+)", row[2]):
            assert fields[option].default == int(default)
    documented = {}
    for row in table("common option"):
        values = [None if value == "none" else float(value) for value in row[1].split(", ")]
        documented |= dict(zip(code(row[0]), values, strict=True))
    common = {name: field.default for name, field in SearchForm.model_fields.items() if name != "label"}
    assert documented == common


def test_opt_levels() -> None:
    assert {int(row[0]): row[1] for row in table("level")} == {level: one.name for level, one in RECIPES.items()}


def test_error_classes() -> None:
    named = {code(row[0])[0] for row in table("class")}
    roots = {"SweepError", "ToolchainError", "DeviceError"}
    assert named == {*errors.__all__, "Bug"} - {*roots, "PlanError"}  # a plan that contradicts itself is a bug


def _as_yaml(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _light_folder() -> Path:
    spec = importlib.util.find_spec("onnx")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "backend" / "test" / "data" / "light"
