"""The way of a newcomer, whole: two clean environments, and what each step of `tools/front_door.py` says of itself."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.api.bundles import texts
from tools import front_door

ROOT = Path(__file__).parents[1]
SAID = "output 0: float32 [1, 2]: -0.0882 1e-05 ...\noutput agrees, 0.144 ms\nmeasured before: 0.1 ms\n"


def test_it_reads_what_the_programs_of_a_bundle_print() -> None:
    assert front_door.latency_ms(SAID) == 0.144
    assert front_door.numbers(SAID) == front_door.numbers("output 0: -0.0882 1e-05 ...\n") == ["-0.0882", "1e-05"]
    with pytest.raises(front_door.Failed, match="no latency"):
        front_door.latency_ms("output DIFFERS by up to 1, 0.1 ms")


def test_it_reads_what_run_py_says_of_new_processes() -> None:
    """Both programs of a bundle say it in the same words, where the manifest does."""
    run_py = runpy.run_path(str(ROOT / "sweep" / "api" / "bundles" / "bundle_files" / "run.py"))
    interval = {"low_ms": 0.13, "high_ms": 0.16, "level": 0.99, "processes": 5}
    told = run_py["_of_new_processes"](interval)
    assert told == " (interval of this library in new processes: 0.13 to 0.16)"
    assert run_py["_of_new_processes"](None) == texts._of_new_processes(None) == ""
    assert texts._of_new_processes(interval) == told
    assert front_door.latency_ms(f"output agrees, 0.144 ms{told}\nmeasured before: 0.1 ms\n") == 0.144


def test_a_latency_beyond_its_interval_is_said_with_the_load() -> None:
    assert front_door.verdict(1.0, 0.9, 1.1).startswith("within the interval")
    assert "NOT within the interval, slower: 2 ms, measured 0.9 to 1.1 ms; load " in front_door.verdict(2.0, 0.9, 1.1)
    assert "NOT within the interval, faster" in front_door.verdict(0.5, 0.9, 1.1)


def test_a_step_that_does_not_end_is_named(tmp_path: Path) -> None:
    with pytest.raises(front_door.Failed, match="did not end within 1 s"):
        front_door.call([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, limit_s=1)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(3600)
def test_from_the_wheel_to_what_one_ships() -> None:
    command = [sys.executable, "tools/front_door.py", "--constraints", "constraints.txt"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the output agrees with the reference in Python and in C++, and both print " in done.stdout
