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
from sweep.engine.ray_session import RaySession
from sweep.errors import EngineError
try:
    RaySession(None, 1, {})
except EngineError as error:
    print(error)
"""
"""Ray's own words, and its class, on a machine that takes 30 s to start its processes."""


def test_a_ray_that_does_not_come_up_is_told_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}

    ended = subprocess.run([sys.executable, "-c", TOO_SLOW], env=environment, capture_output=True, text=True)

    assert ended.stdout == "Ray cannot be used: The current node timed out during startup.\n", ended.stderr
    assert list(tmp_path.iterdir()) == []
