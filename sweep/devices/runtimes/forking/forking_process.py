"""The process that has loaded a runtime's library, as its owner sees it: asked for a measurement, it forks a child.

To start Python and to load ONNX Runtime takes a core for a second or more, and a cell visits its device five times and
more. What it has loaded is as it was at every fork; the network is opened anew, by a process that has served nobody.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweep.installation import python_command

__all__ = ["Ended", "ForkingProcess"]

_LOADING_S = 120.0
"""For Python and the library, beside all else that a run brings up at the time."""
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    code: int
    """As `subprocess` has it: below 0 the signal."""
    said: str
    """On standard output."""
    complained: str
    """On standard error."""


class ForkingProcess:
    """One runtime's. It loads from its making on, and ends with its owner. Thread-safe: one measurement at a time."""

    def __init__(self, runtime: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [*python_command("sweep.devices.runtimes.forking.forking_child"), runtime],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where it cannot load, the process that is started instead says why
            text=True,
            env=dict(environment),
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._was_late = False
        self._threads: int | None = None

    def can_fork(self) -> bool:
        """Whether it has loaded the library and is of one thread; waits until it has."""
        with self._lock:
            if self._threads is None:
                self._threads = int(self._answer(_LOADING_S).get("threads", 0))
        return self._threads == 1

    @property
    def is_alive(self) -> bool:
        """Whether it may be asked."""
        return self._process.poll() is None

    def perform(self, orders: Mapping[str, Any], limit_s: float) -> Ended:
        """How the process ended that carried the orders out. Raises subprocess.TimeoutExpired, all of it ended then."""
        with self._lock:
            assert self._process.stdin is not None
            with suppress(OSError):  # it has ended, as its answer says
                self._process.stdin.write(json.dumps(orders) + "\n")
                self._process.stdin.flush()
            answer = self._answer(limit_s)
            if self._was_late:
                raise subprocess.TimeoutExpired(self._process.args, limit_s)
            return Ended(**answer) if answer else Ended(self._process.wait(), "", "")

    def close(self) -> None:
        """End it, and what it has forked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        """The next line; empty where it has ended."""
        assert self._process.stdout is not None
        timer = threading.Timer(limit_s, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        try:
            answer: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:  # it ended within the line, or before
            return {}
        return answer

    def _end_late(self) -> None:
        self._was_late = True
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
