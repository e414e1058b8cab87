"""What becomes of a Ray that does not come up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_ray_that_does_not_come_up_is_told_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    ended = _ended(TOO_SLOW, tmp_path)

    assert ended.stdout == "Ray cannot be used: The current node timed out during startup.\n", ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_ray_comes_up_leaves_nothing(tmp_path: Path) -> None:
    ended = _ended(INTERRUPTED, tmp_path)

    assert ended.stdout == "interrupted True\n", ended.stderr
    assert list(tmp_path.iterdir()) == []


def _ended(program: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
