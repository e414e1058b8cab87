"""The thread in which Ray is started, with processes of another kind under its names."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from sweep.engine.ray import starting
from sweep.engine.ray.starting import StartingThread
from sweep.errors import EngineDown

MARK = ("SWEEP_TEST_OF_STARTING", "1")


class Starts:
    """Starts a process that is called gcs_server, and then waits as Ray does for a GCS that is gone."""

    def __init__(self, folder: Path) -> None:
        self.over, self.begun = threading.Event(), threading.Event()
        self.program = folder / "gcs_server"
        shutil.copy(shutil.which("sleep") or "/bin/sleep", self.program)

    def __call__(self) -> None:
        environment = {**os.environ, MARK[0]: MARK[1]}
        self.process = subprocess.Popen([str(self.program), "600"], env=environment)
        self.begun.set()
        self.over.wait()


def test_a_call_that_waits_for_a_dead_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_GRACE_S", 0.3)
    starts = Starts(tmp_path)
    thread = StartingThread(starts, MARK)
    starts.begun.wait()
    starts.process.kill()

    with pytest.raises(EngineDown, match="Ray's gcs_server ended while it came up"):
        thread.wait()

    starts.over.set()
    thread.end()
    starts.process.wait()


def test_what_was_started_ends_with_an_interrupted_call(tmp_path: Path) -> None:
    starts = Starts(tmp_path)
    thread = StartingThread(starts, MARK)
    starts.begun.wait()
    other = subprocess.Popen(["sleep", "600"])

    thread.end()

    assert starts.process.wait(5) == -9
    assert other.poll() is None, "another part of this process has started it"
    other.kill()
    other.wait()
    starts.over.set()


def test_the_thread_lives_as_long_as_the_session_and_its_error_is_raised() -> None:
    before = threading.enumerate()
    thread = StartingThread(lambda: None, MARK)
    thread.wait()
    (own,) = (one for one in threading.enumerate() if one.name == "ray-init" and one not in before)
    assert own.is_alive()

    thread.end()

    own.join(5)
    assert not own.is_alive()

    def fail() -> None:
        raise RuntimeError("no port is free")

    with pytest.raises(RuntimeError, match="no port is free"):
        StartingThread(fail, MARK).wait()
