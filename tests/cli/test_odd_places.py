"""Names that are no UTF-8, terminals without letters, homes that are no folders: a line, or it works; no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
from sweep.engine.ray.ray_session import RaySession
from sweep.errors import EngineError, StudyError
from sweep.files.private_folder import make_ours

STUDY = (
    "study: odd\nquestion: Wie schnell läuft’s?\nmodels: [onnx-light:squeezenet]\ndevices: [sim-0]\nopt_levels: [0]\n"
    "runtimes: [tvm]\n"
)
CLUSTER = (
    "name: alone\nengine: simulated\nsimulate: {devices: 1, failure_rate: 0, speed: 0}\nmlflow: {enabled: false}\n"
)
NO_TEXT = os.fsdecode(b"s\xff")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return tmp_path


def command(cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweep", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


def test_an_argument_that_is_no_text_is_refused_in_a_line(folder: Path) -> None:
    done = command(folder, "run", "study.yaml", "--cluster", "cluster.yaml", "--out", NO_TEXT)
    assert done.returncode == 2
    assert done.stderr == (
        "sweep: StudyError: argument: is not UTF-8 (got 's\\udcff'); "
        "allowed: names in UTF-8, or a link with such a name\n"
    )


def test_a_folder_that_is_no_text_is_refused_in_a_line(folder: Path) -> None:
    (folder / NO_TEXT).mkdir()
    done = command(folder / NO_TEXT, "run", "../study.yaml", "--cluster", "../cluster.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: StudyError: current folder: is not UTF-8 (got ")
    assert done.stderr.count("\n") == 1


def test_the_package_refuses_it_too(folder: Path) -> None:
    study, cluster = sweep.load_study(folder / "study.yaml"), sweep.load_cluster(folder / "cluster.yaml")
    with pytest.raises(StudyError, match="--out: is not UTF-8"):
        sweep.run(study, cluster, out=folder / NO_TEXT)


def test_a_terminal_without_letters_gets_their_numbers(folder: Path) -> None:
    arguments = ("run", "study.yaml", "--cluster", "cluster.yaml", "--out", "löschen")
    done = command(folder, *arguments, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    again = command(folder, "report", "löschen", PYTHONIOENCODING="ascii")
    assert (again.returncode, again.stderr) == (0, "")
    assert "Wie schnell l\\xe4uft\\u2019s?" in again.stdout


def test_a_home_that_is_no_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match=r"XDG_CACHE_HOME: cannot be made: Not a directory .* or HOME"):
        make_ours(Path("/dev/null/.cache/tvm-sweep"), "XDG_CACHE_HOME")
    (folder / "real.yaml").write_text("name: real\ndevices: [{key: here}]\nmlflow: {enabled: false}\nengine: inline\n")
    (folder / "study.yaml").write_text(STUDY.replace("sim-0", "here"), encoding="utf-8")
    done = command(
        folder, "run", "study.yaml", "--cluster", "real.yaml", "--out", "o", HOME="/dev/null", XDG_CACHE_HOME=""
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("sweep: StudyError: XDG_CACHE_HOME: cannot be made: Not a directory")
    assert "Traceback" not in done.stderr


def test_a_shared_memory_that_cannot_be_written_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray tries for half a minute, and says that it timed out."""
    monkeypatch.setattr("sweep.engine.ray.ray_session._SHARED_MEMORY", tmp_path)
    monkeypatch.setattr("sweep.engine.ray.ray_session.os.access", lambda *_: False)
    with pytest.raises(EngineError, match="cannot be written, and Ray keeps its objects there"):
        RaySession(None, 1, {})
