"""Folders for a moment: gone after it, and what a killed process has left goes with the next."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.record.mlflow import scratch as module
from sweep.record.mlflow.scratch import scratch
from sweep.record.mlflow.tracking_store import open_client

HOLDER = """
import sys, pathlib
from sweep.record.mlflow import scratch
scratch._MEMORY = pathlib.Path(sys.argv[1])
with scratch.scratch() as folder:
    (folder / "file").write_text("held")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(module, "_MEMORY", folder)
    return folder


def test_what_a_killed_process_left_goes_and_what_another_uses_stays(memory: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(memory)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as killed, subprocess.Popen(command, **options) as at_work:  # type: ignore[call-overload]
        left, used = Path(killed.stdout.readline().strip()), Path(at_work.stdout.readline().strip())
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "file").is_file()
        with scratch() as own:
            assert sorted(path for path in memory.iterdir() if path.is_dir()) == sorted([used, own])
        at_work.communicate("")
    assert list(memory.iterdir()) == []


def test_what_others_have_put_there_is_left_alone(memory: Path, tmp_path: Path) -> None:
    """Of a lock that is a link, a program that is led by names empties the file."""
    mine = tmp_path / "precious"
    mine.write_text("precious")
    (memory / "sweep-mlflow-soft.lock").symlink_to(mine)
    os.link(mine, memory / "sweep-mlflow-hard.lock")
    (tmp_path / "folder").mkdir()
    (memory / "sweep-mlflow-old.lock").write_text("")
    (memory / "sweep-mlflow-old").symlink_to(tmp_path / "folder")
    theirs = memory / "sweep-mlflow-theirs"
    theirs.mkdir()
    theirs.with_suffix(".lock").write_text("")
    if os.geteuid() == 0:
        for path in (theirs, theirs.with_suffix(".lock")):
            os.chown(path, 65534, 65534)

    with scratch() as own:
        assert stat.S_IMODE(own.stat().st_mode) == 0o700

    assert mine.read_text() == "precious"
    assert (tmp_path / "folder").is_dir()
    assert theirs.is_dir() or os.geteuid() != 0


@pytest.mark.integration
@pytest.mark.mlflow
def test_a_store_is_made_there_and_leaves_nothing(memory: Path, tmp_path: Path) -> None:
    open_client(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").is_file()
    assert list(memory.iterdir()) == []
