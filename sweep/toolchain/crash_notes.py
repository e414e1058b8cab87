"""What a job was doing when it crashed: it notes each step that may crash, and is told when it is begun again.

A compiler that crashes takes its process along, so no job can catch that. It can note what it is about to do; the
compile server finds the note after the crash and begins the job once more, with all crashes so far, so that it does
without what has crashed. A job that notes nothing is not begun again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Crash", "begin", "crashes_of", "note", "read", "request_after_crash"]

_FILE = "doing"
_ARGUMENT = "crashes"
"""Keyword argument of a job that is begun again: a list of `Crash` as JSON."""
_MOST_TRIES = 8
_OWN_FAULTS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""Of other signals somebody else is the cause."""

_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Crash:
    """A job's end by a signal of its own making."""

    at: str
    """What it had noted."""
    how: str


def begin(folder: Path) -> None:
    """Let this process, which lives for one job, keep its notes in a folder."""
    global _folder
    _folder = folder


def note(step: str) -> None:
    """Note what is done next; nothing where nobody would look for it."""
    if _folder is not None:
        (_folder / _FILE).write_text(step, encoding="utf-8")


def crashes_of(told: Sequence[Mapping[str, str]]) -> tuple[Crash, ...]:
    """Crashes of earlier tries, from the argument of a job."""
    return tuple(Crash(**crash) for crash in told)


def read(folder: Path) -> str | None:
    """The last note of a child, by its folder."""
    try:
        return (folder / _FILE).read_text(encoding="utf-8")
    except OSError:
        return None


def request_after_crash(request: Mapping[str, Any], status: int, how: str, at: str | None) -> dict[str, Any] | None:
    """The request by which the compile server begins a job again; None where it is not.

    status: as `waitpid` gives it. how: in words. at: the child's last note.
    """
    crashes = list(request["kwargs"].get(_ARGUMENT, ()))
    if at is None or not os.WIFSIGNALED(status) or os.WTERMSIG(status) not in _OWN_FAULTS:
        return None
    if any(crash["at"] == at for crash in crashes) or len(crashes) + 1 >= _MOST_TRIES:
        return None
    return {**request, "kwargs": {**request["kwargs"], _ARGUMENT: [*crashes, asdict(Crash(at, how))]}}
