"""What becomes of a Ray that does not come up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sweep.engine.ray import ray_session

pytestmark = [pytest.mark.ray]

TOO_SLOW = """
import ray

def init(**options):
    raise Exception("The current node timed out during startup.")

ray.init = init
from sweep.engine.ray.ray_session import RaySession
from sweep.errors import EngineError
try:
    RaySession(None, 1, {})
except EngineError as error:
    print(error)
"""
"""Ray's own words, and its class, on a machine that takes 30 s to start its processes."""


INTERRUPTED = """
import os, signal
import ray
from sweep.engine.ray.ray_session import RaySession

before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    RaySession(None, 1, {})
except KeyboardInterrupt:
    print("interrupted", {name: value for name, value in os.environ.items() if name.startswith("RAY_")} == before)
"""
"""It takes seconds to come up."""


KILLED_EARLY = """
import threading, time
import psutil
import ray
from sweep.engine.ray.ray_session import RaySession

killed = []

def kill_first():
    # What asks the GCS is under way as soon as there is a process that needs it
    while not killed:
        names = {child.name(): child for child in psutil.Process().children()}
        if "gcs_server" in names and len(names) > 1:
            names["gcs_server"].kill()
            killed.append(names["gcs_server"].pid)
        time.sleep(0.002)

threading.Thread(target=kill_first, daemon=True).start()
session = RaySession(None, 1, {})
print(len(killed), session.why_gone(), ray.get(ray.remote(num_cpus=0)(lambda: 7).remote()))
session.close()
print([child.name() for child in psutil.Process().children() if child.status() != "zombie"])
"""


@pytest.mark.slow
def test_a_gcs_that_is_killed_while_ray_comes_up_is_started_again(tmp_path: Path) -> None:
    ended = _ended(KILLED_EARLY, tmp_path)

    assert ended.stdout.splitlines() == ["1 None 7", "[]"], ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_drivers_go_and_those_of_other_users_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = tmp_path / "precious"
    mine.write_text("precious")
    left, theirs, alive = (tmp_path / f"sweep-ray-{pid}-abc" for pid in ("999999991", "999999992", os.getpid()))
    for folder in (left, theirs, alive):
        folder.mkdir()
    (theirs / "lock").symlink_to(mine)
    (tmp_path / "sweep-ray-999999993-abc").symlink_to(tmp_path)
    abandoned = tmp_path / "sweep-ray-999999994-abc"
    abandoned.mkdir()
    if os.geteuid() == 0:
        os.chown(abandoned, 65534, 65534)

    ray_session._remove_abandoned()

    assert not left.exists()
    assert alive.is_dir()
    assert mine.read_text() == "precious"
    assert theirs.is_dir(), "a lock that is a link is not opened, whoever has made it"
    assert abandoned.is_dir() or os.geteuid() != 0, "another user's"


KILLED = """
import json, os, signal, sys
import ray
from sweep.devices.processes import identify
from sweep.engine.ray.ray_session import RaySession
from sweep.engine.ray.watched_calls import watched
from sweep.errors import EngineDown

@ray.remote(num_cpus=0)
class Sleeper:
    def pid(self):
        return os.getpid()

session = RaySession(None, 1, {})
told, pids = [session.why_gone()], []
for name in sys.argv[1:]:
    sleeper = Sleeper.remote()
    pids.append(ray.get(sleeper.pid.remote()))
    process = dict(session._vital)[name]
    process.kill()
    process.wait()
    told.append(session.why_gone())
    try:
        watched(lambda: ray.get(Sleeper.options(name="another").remote().pid.remote()), session.why_gone)
    except EngineDown as error:
        told.append(str(error))
    session.restart()
    told.append([session.why_gone(), identify(pids[-1]) is not None])
    pids.append(ray.get(Sleeper.remote().pid.remote()))
session.close()
print(json.dumps([told, [pid for pid in pids if identify(pid)]]))
"""
"""Each is seen by what is left of them, and by a call that would never return."""


@pytest.mark.parametrize("killed", [["gcs_server"], pytest.param(["raylet", "gcs_server"], marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_ray_that_is_killed_is_started_again_in_the_same_process(killed: list[str], tmp_path: Path) -> None:
    ended = _ended(KILLED, tmp_path, *killed)

    assert ended.returncode == 0, ended.stderr
    told, left = json.loads(ended.stdout.splitlines()[-1])
    said = [f"Ray's {name} ended (signal 9)" for name in killed]
    assert told == [None, *(entry for each in said for entry in (each, each, [None, False]))]
    assert left == []
    assert list(tmp_path.iterdir()) == []


def test_a_ray_that_does_not_come_up_is_told_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    ended = _ended(TOO_SLOW, tmp_path)

    assert ended.stdout == "Ray cannot be used: The current node timed out during startup.\n", ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_ray_comes_up_leaves_nothing(tmp_path: Path) -> None:
    # Python prints and forgets what a signal raises in a callback after a fork: then it was not interrupted at all
    tries = (_ended(INTERRUPTED, tmp_path) for _ in range(4))
    ended = next(one for one in tries if "Exception ignored" not in one.stderr)

    assert ended.stdout == "interrupted True\n", ended.stderr
    assert list(tmp_path.iterdir()) == []


def _ended(program: str, temporary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)
