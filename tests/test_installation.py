"""How our own Python processes are started: what lies in a person's working folder is in nobody's way, and is found."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.installation import SOURCE_ROOT, child_environment, import_path, put_last, python_command
from tests.end_to_end.place import IN_THE_WAY

SCRIPTS = {name: f"raise RuntimeError('the {name}.py of the working folder was imported')\n" for name in IN_THE_WAY}
SHOW = "import sys, numpy, own_tuner; print(numpy.__file__, own_tuner.WORD)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with scripts in the way, and a module that is meant."""
    for name, text in SCRIPTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "own_tuner.py").write_text(
        "from sweep.search.random_search import RandomStrategy as Mine\nWORD = 'found'\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("entry", ["", "absolute"])
def test_the_working_folder_comes_last(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setattr(sys, "path", [str(folder) if entry else "", *sys.path])
    entries = import_path().split(os.pathsep)
    assert entries[-1] == str(folder)
    assert entries.count(str(folder)) == 1
    assert str(SOURCE_ROOT) in entries
    put_last()
    assert sys.path[-1] == str(folder)


def test_it_is_not_added_where_it_was_not(folder: Path) -> None:
    before = list(sys.path)
    put_last()
    assert sys.path == before
    assert str(folder) not in import_path().split(os.pathsep)


def test_the_folder_of_this_package_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SOURCE_ROOT)
    monkeypatch.setattr(sys, "path", [str(SOURCE_ROOT), *sys.path])
    put_last()
    assert sys.path[0] == str(SOURCE_ROOT)


def test_a_child_imports_what_is_installed_and_finds_what_is_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    command = [*python_command("timeit")[:2], "-c", SHOW]
    shown = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True).stdout
    assert "site-packages" in shown
    assert shown.strip().endswith("found")


def test_children_of_a_child_do_so_too(folder: Path) -> None:
    """MLflow's server and Ray start further ones with `-m` alone."""
    code = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-m', 'numpy.f2py', '-v']).returncode)"
    command = [*python_command("timeit")[:2], "-c", code]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    assert "working folder" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("path", [None, "."])
def test_a_command_in_such_a_folder_runs(folder: Path, path: str | None) -> None:
    """`python -m sweep` and PYTHONPATH=. both put it before all that is installed."""
    (folder / "study.yaml").write_text(
        "study: s\nmodels: [onnx-light:squeezenet]\ntuners: [{name: 'own_tuner:Mine', trials_per_task: 2}]\n"
    )
    import_path = os.pathsep.join([str(SOURCE_ROOT), *([path] if path else [])])
    environment = {**os.environ, "PYTHONPATH": import_path}
    for arguments in (["plan", "study.yaml"], ["doctor", "--help"]):
        command = [sys.executable, "-m", "sweep", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_runtime_s_child_is_one_of_them(folder: Path) -> None:
    command = python_command("sweep.devices.runtimes.child")
    done = subprocess.run(command, env=child_environment(), input="", capture_output=True, text=True, check=False)
    assert "working folder" not in done.stderr
    assert "JSONDecodeError" in done.stderr, "it was imported whole, and had no orders"


def test_every_module_that_starts_python_does_it_so() -> None:
    """A further child process is to take its command from `python_command`, and its environment too."""
    alone = {"sweep/api/session/reporting.py", "sweep/installation.py"}
    for path in (SOURCE_ROOT / "sweep").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "sys.executable" in text:
            assert path.relative_to(SOURCE_ROOT).as_posix() in alone, f"{path} names the interpreter itself"


def test_torch_is_left_out_for_one_thread_alone_and_nothing_stands_for_it() -> None:
    """A None among the modules failed what scikit-learn did in another thread while TVM was loaded."""
    code = """
import importlib.util, sys, threading
from sweep.installation import torch_left_out
before, found = list(sys.meta_path), []
with torch_left_out():
    try:
        import torch
    except ImportError:
        print("refused", "torch" in sys.modules)
    other = threading.Thread(target=lambda: found.append(importlib.util.find_spec("torch") is not None))
    other.start()
    other.join()
print(found, sys.meta_path == before, importlib.util.find_spec("torch") is not None)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    has_torch = importlib.util.find_spec("torch") is not None
    assert ended.stdout.splitlines() == ["refused False", f"[{has_torch}] True {has_torch}"]


SECOND_IMPORT = """
import sys
from sweep.installation import bind_submodules
try:
    import half
except ZeroDivisionError:
    pass
sys.is_mended = True
import half
before = hasattr(half, "whole")
bind_submodules("half")
print(before, half.whole.value, half.late.value)
"""


def test_what_an_import_that_failed_half_way_took_from_a_package_is_given_back(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "whole.py").write_text("value = 1")
    (tmp_path / "half" / "late.py").write_text("import sys\nvalue = 2 if hasattr(sys, 'is_mended') else 1 / 0")
    (tmp_path / "half" / "__init__.py").write_text("from .whole import value\nfrom . import late")
    environment = child_environment(PYTHONPATH=os.pathsep.join([str(tmp_path), import_path()]))
    done = subprocess.run(
        [sys.executable, "-c", SECOND_IMPORT], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "1", "2"]
