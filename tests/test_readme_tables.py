"""Tables of the README and the pages under docs are the program's own: keys, tuners, levels, error classes, metrics."""

from __future__ import annotations

import importlib.util
import math
import re
from inspect import isclass
from pathlib import Path

import typer

from sweep import errors
from sweep.running.policy import RetryPolicy
from sweep.study.cluster.cluster_form import ClusterForm, DeviceForm
from sweep.study.importers.importer_registry import IMPORTERS
from sweep.study.measure_options import MeasureForm
from sweep.study.runtimes import RUNTIMES
from sweep.study.study_form import study_form
from sweep.study.tuners.tuner_forms import CATALOGUE, SearchForm
from sweep.toolchain.lowering import RECIPES
from tests.page import ROOT, code, table

TUNERS, OPERATIONS, RUNTIMES_PAGE = "docs/tuners.md", "docs/operations.md", "docs/runtimes.md"


def test_study_keys_and_their_defaults() -> None:
    keys = {key: row for row in table("key", 0) for key in code(row[0])}
    assert {"study", *keys} == {field.alias or name for name, field in study_form().model_fields.items()}
    measure = dict(re.findall(r"`(\w+)` ([\w.]+)", keys["measure"][2]))
    measure.pop("number")
    fields = MeasureForm.model_fields
    assert measure == {name: _as_yaml(fields[name].default) for name in fields if name != "number"}
    for key in ("targets", "tuners", "opt_levels", "runtimes", "seed"):
        default = study_form().model_fields[key].default
        assert keys[key][1].strip("`").strip("[]") == str(default).strip("[]").replace("'", "")
    networks = keys["models"][2].partition("one of ")[2].split(", ")
    assert {f"light_{name}" for name in networks} == {path.stem for path in _light_folder().glob("light_*.onnx")}


def test_tuners_and_their_options() -> None:
    rows = table("tuner", page=TUNERS)
    assert [code(row[0])[0] for row in rows] == list(CATALOGUE)
    for row in rows:
        fields = CATALOGUE[code(row[0])[0]].model_fields
        for option, default in re.findall(r"`(\w+)` (\d+)", row[2]):
            assert fields[option].default == int(default)
    documented = {}
    for row in table("common option", page=TUNERS):
        values = [None if value == "none" else float(value) for value in row[1].split(", ")]
        documented |= dict(zip(code(row[0]), values, strict=True))
    common = {name: field.default for name, field in SearchForm.model_fields.items() if name != "label"}
    assert documented == common


def test_opt_levels() -> None:
    assert {int(row[0]): row[1] for row in table("level", page=TUNERS)} == {
        level: one.name for level, one in RECIPES.items()
    }


def test_cluster_keys() -> None:
    keys = {key for row in table("key", 1) for key in code(row[0])}
    devices = {key.removeprefix("devices[].") for key in keys if key.startswith("devices[].")}
    assert devices == set(DeviceForm.model_fields)
    assert {key.partition("[")[0] for key in keys} == set(ClusterForm.model_fields)


def test_error_classes_and_how_often_they_are_tried() -> None:
    rows = {code(row[0])[0]: row[2] for row in table("class", page="docs/troubleshooting.md")}
    attempts = RetryPolicy().attempts
    told = {name: "always" if count == math.inf else f"{count} a run" for name, count in attempts.items()}
    assert rows == {name: told.get(name, "once") for name in rows}
    named = set(rows)
    roots = {"SweepError", "ToolchainError", "DeviceError"}
    classes = {name for name in errors.__all__ if isclass(getattr(errors, name))}
    assert named == {*classes, "Bug"} - {*roots, "PlanError"}  # a plan that contradicts itself is a bug


def test_metrics_and_events() -> None:
    named = {name for row in table("metric", page=OPERATIONS) for name in code(row[0])}
    counted = re.findall(
        r'"(sweep_\w+)"', (ROOT / "sweep" / "engine" / "ray" / "metrics.py").read_text(encoding="utf-8")
    )
    assert named == {f"ray_{name}" for name in counted}
    events = {name for row in table("event", page=OPERATIONS) for name in code(row[0])}
    journal = (ROOT / "sweep" / "api" / "session" / "journal.py").read_text(encoding="utf-8")
    assert events == set(re.findall(r'write\(\s*"(\w+)"', journal))


def test_options_and_files_of_an_overlay() -> None:
    from sweep.cli import app

    command = typer.main.get_command(app).commands["overlay"]  # type: ignore[attr-defined]
    options = {option for row in table("option", page="docs/overlay.md") for option in code(row[0])}
    missing = {option for part in command.params for option in part.opts if option.startswith("--")} - options
    assert missing == {"--cluster", "--network", "--out", "--json"}  # told in the text around
    files = {name for row in table("file", page="docs/overlay.md") for name in code(row[0])}
    rooms = (ROOT / "sweep" / "api" / "overlay").glob("*.py")
    program = "\n".join(path.read_text(encoding="utf-8") for path in rooms)
    for name in files:
        assert f'"{name.partition("/")[0]}"' in program, name
    written = set(re.findall(r'"(\w+\.(?:csv|html|jsonl))"', program)) - {"ledger.jsonl"}
    assert written <= files


def _as_yaml(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _light_folder() -> Path:
    spec = importlib.util.find_spec("onnx")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "backend" / "test" / "data" / "light"


def test_what_runs_which_format() -> None:
    """By the forms that importers leave and runtimes open."""
    header, *_ = (line for line in (ROOT / RUNTIMES_PAGE).read_text().splitlines() if line.startswith("| importer"))
    named = [cell.strip() for cell in header.strip("|").split("|")][3:]
    assert named == list(RUNTIMES.names())
    rows = {code(row[0])[0]: row for row in table("importer", page=RUNTIMES_PAGE)}
    assert list(rows) == list(IMPORTERS.names())
    for name, row in rows.items():
        importer = IMPORTERS.get(name)
        unclaimed = "{from: MODEL}" if name == "variant" else "module:function"
        written = [*importer.suffixes, *(f"{prefix}NAME" for prefix in importer.prefixes)] or [unclaimed]
        assert (code(row[1]), row[2]) == (written, " and ".join(importer.formats))
        for runtime, said in zip(named, row[3:], strict=True):
            about = RUNTIMES.get(runtime)
            takes = about.is_compiled or bool(set(about.formats) & set(importer.formats))
            assert (name, runtime, said) == (name, runtime, "yes" if takes else "no")
