"""Waiting for what a running command does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.end_to_end.place import LIMIT_S

__all__ = ["wait_until"]


def wait_until(condition: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for a condition; an error where the command ends before it, with what it said."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if running.poll() is not None:
            raise AssertionError(f"ended too early with {running.returncode}: {running.communicate()[1]}")
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)  # without a pause, looking takes a core
