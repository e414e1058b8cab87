"""The public API: what there is, that it says what it does, and the example that uses it."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer.main

import sweep
from sweep.api import _HOMES
from sweep.cli import app
from sweep.errors import StudyError
from tests.api.made_sweep import MadeCell, make_sweep

ROOT = Path(__file__).parents[2]


_NEVER_REFUSES = ("default_sweep_dir", "diagnose", "cluster_json_schema", "study_json_schema")


@pytest.mark.parametrize("name", sorted(set(sweep.__all__) - {"__version__"}))
def test_everything_is_there_typed_and_says_what_it_does(name: str) -> None:
    found = getattr(sweep, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        told = inspect.signature(found)
        assert told.return_annotation is not inspect.Signature.empty
        assert all(one.annotation is not inspect.Parameter.empty for one in told.parameters.values())
        assert "Raises" in str(inspect.getdoc(found)) or name in _NEVER_REFUSES
        paths = [one for one in told.parameters.values() if "Path" in str(one.annotation)]
        assert all("str" in str(one.annotation) for one in paths), "a path may be a text"


def test_what_type_checkers_see_is_what_there_is() -> None:
    source = (ROOT / "sweep" / "__init__.py").read_text()
    seen = source[source.index("if TYPE_CHECKING") : source.index("__all__ =")]
    assert all(name in seen for name in sweep.__all__ if name != "__version__")
    assert (ROOT / "sweep" / "py.typed").is_file()
    assert typing.get_type_hints(sweep.RunOptions)


def test_a_name_has_one_home() -> None:
    names = [name for held in _HOMES.values() for name in held]
    assert len({*names}) == len(names)


def test_it_is_loaded_on_first_use() -> None:
    code = "import sweep, sys; print([name for name in sys.modules if name.startswith('sweep.') or name == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sweep.installation']"


def test_a_function_is_not_hidden_by_the_room_of_its_name() -> None:
    importlib.import_module("sweep.api.overlay.overlay")
    assert inspect.isfunction(sweep.overlay)
    assert inspect.isfunction(sweep.api.run)
    with pytest.raises(AttributeError, match="'sweep' has no attribute 'runs'"):
        _ = sweep.runs


def test_every_command_has_its_functions() -> None:
    """The table of the room names them; the command's own module calls no other way in."""
    rows = inspect.getdoc(sweep.api).partition("function\n")[2].partition("\n\n")[0].splitlines()
    table = {name: row[20:] for row in rows for name in row[:20].strip().split(", ")}
    commands = {name for name, command in typer.main.get_command(app).commands.items() if not command.hidden}
    assert set(table) == commands
    named = set(re.findall(r"[A-Za-z]\w*", re.sub(r"\(.*?\)", "", " ".join(table.values())))) - {"of", "a", "then"}
    assert named <= set(sweep.__all__)
    assert {"compare_more", "measure_overlay", "farm_down", "write_study"} <= named


def test_dir_and_completion_show_it() -> None:
    assert set(sweep.__all__) <= set(dir(sweep))


def test_the_verdict_of_a_comparison(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "made", [MadeCell("xgb", 1.0), MadeCell("none", 2.0)])
    assert sweep.compare(folder, "xgb", "none").verdict is sweep.Verdict.FASTER


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("name: made-up\nengine: simulated\nsimulate: {devices: 1}\n")
    cluster = sweep.load_cluster(tmp_path / "cluster.yaml")
    for call in (
        lambda: sweep.print_report(tmp_path),
        lambda: sweep.write_report(tmp_path),
        lambda: sweep.runtime_ratios(tmp_path, of="tvm", against="onnxruntime"),
        lambda: sweep.ui_server(tmp_path),
        lambda: sweep.measure_overlay(tmp_path, cluster),
    ):
        with pytest.raises(StudyError, match=r"^DIR: is not a sweep directory"):
            call()


def test_farms_of_made_up_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cluster.yaml").write_text("name: made-up\nengine: simulated\nsimulate: {devices: 1}\n")
    cluster = sweep.load_cluster(tmp_path / "cluster.yaml")
    with pytest.raises(StudyError, match="engine: has no farm"):
        sweep.farm_up(cluster)
    status = sweep.farm_status(cluster)
    assert status.as_text().startswith("made-up: down (no farm is up in ")
    assert status.as_dict() == {"tracker": None, "problem": status.status.problem, "devices": {}}
    assert sweep.farm_down(cluster) == "made-up: was not up"


@pytest.mark.mlflow
@pytest.mark.slow
def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "api_example.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "cpu-quickstart: 28 cells in 53 stages"
    assert lines[1].startswith("coarse: ")
    assert [line.split(":")[0] for line in lines[3:]] == ["sim-0", "sim-1", "sim-2", "sim-3"]
