"""Ctrl-C at any moment after Python itself is up: a line and 130, and never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

INTERRUPTED_WHILE = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
from sweep.__main__ import main
module, sys.argv = sys.argv[1], ["sweep", "plan", "experiments/quickstart.yaml"]
sys.meta_path.insert(0, Interrupting())
sys.exit(main())
"""


WAITING = """
import time
from sweep.cli import app, main
app.command("wait")(lambda: print("up", flush=True) or time.sleep(60))
raise SystemExit(main(["wait"]))
"""


def test_ctrl_c_while_something_is_loaded() -> None:
    for module in ("typer", "sweep.cli", "sweep.study.gate", "sweep.planning.planner"):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED_WHILE, module], cwd=ROOT, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "sweep: interrupted\n"), module


def test_a_command_that_waits_for_nothing_but_a_signal() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "up\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "sweep: interrupted\n")
