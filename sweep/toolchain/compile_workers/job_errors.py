"""Turns the death or the exception of a job into an error of the tree."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sweep.errors import WorkerKilled, killed_by

__all__ = ["error_answer", "how_it_died", "log_tail"]

_LOG_TAIL_BYTES = 4000


def error_answer(kind: str, message: str, trace: str, disk_errno: int | None) -> dict[str, Any]:
    """An error as a child answers it, and the server for a child that cannot.

    kind: its class in the tree. disk_errno: with which number a disk has refused, where that is behind it.
    """
    return {"error": {"class": kind, "message": message, "traceback": trace, "disk_errno": disk_errno}}


def how_it_died(status: int, log: str) -> tuple[str | None, str]:
    """By the status that `waitpid` gives and the end of the child's output: the class of its error, where it is not the
    job's own, and words.
    """
    outside = killed_by(os.waitstatus_to_exitcode(status))
    if outside is not None:
        return WorkerKilled.__name__, f"its worker was killed with {outside}: from outside, or for want of memory"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        memory = " (out of memory)" if "bad_alloc" in log or "out of memory" in log.lower() else ""
        return None, f"crashed with {name}{memory}"
    return None, f"ended with exit code {os.WEXITSTATUS(status)} and no answer"


def log_tail(path: Path) -> str:
    """The end of a child's output; empty where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
