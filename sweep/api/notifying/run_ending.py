"""The end of a run, told to whom study and cluster file name. Nothing that goes wrong in it harms the run."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self

from sweep.analysis.answering.standing import best_cells
from sweep.api.notifying.delivery import post, start
from sweep.api.session.table_cache import current_results
from sweep.errors import SweepError, in_one_line
from sweep.files.sweep_dir import SweepDir
from sweep.redaction import redacted
from sweep.study.cluster.cluster import Cluster
from sweep.study.notify import Notify, why_no_webhook
from sweep.study.spec import Study

__all__ = ["RunEnding", "why_not_obeyed"]

_VERSION = 1
"""Of the message; raised where a reader of the former one would misread it."""
_MOST_BEST = 20
_LONGEST_ERROR = 1_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A file that names somebody, and what it says."""

    file: Path
    notify: Notify


class RunEnding:
    """A context around a run: as it is left, those are told that the files name, of an error too."""

    def __init__(self, study: Study, cluster: Cluster, sweep_dir: Path) -> None:
        """Looks whose files these are before the run makes the folder its own."""
        self._study, self._sweep_dir = study, sweep_dir
        named = [(study.path, study.notify), (cluster.path, cluster.notify)]
        places = [_Place(file, notify) for file, notify in named if notify is not None]
        self._places = [place for place in places if _is_obeyed(place.file)]
        self._told: dict[str, Any] = {}

    def ended(self, status: str, *, executed: int, stopped: str | None) -> None:
        """How the run ended, where it came to its end."""
        self._told = {"status": status, "executed": executed, "stopped": stopped}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._places:
            return
        if error is not None:
            status = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "error"
            text = redacted(in_one_line(error))[:_LONGEST_ERROR]
            self._told = {"status": status, "error_class": type(error).__name__, "error": text}
        message = json.dumps(self._message()).encode()
        for place in self._places:
            _tell(place, message)

    def _message(self) -> dict[str, Any]:
        about = {"version": _VERSION, "study": self._study.name, "question": redacted(self._study.question)}
        folder = redacted(str(self._sweep_dir))
        return (
            about
            | self._told
            | _standing(self._sweep_dir, self._study.name)
            | {"tags": dict(self._study.tags.study), "folder": folder}
        )


def why_not_obeyed(file: Path) -> str | None:
    """Why what a file names is not started: it may be somebody else's word. None: it is obeyed.

    A sweep directory has its study in it, and may have come from anywhere: to go on with its measurements is no word
    that a program which it names may run. Who wrote it cannot be told for certain, so none is.
    """
    try:
        owner = file.stat().st_uid
    except OSError:  # it was made in Python, by whoever runs it
        return None
    if owner not in (os.geteuid(), 0):
        return "another user owns it"
    if any(SweepDir(folder).is_sweep for folder in file.resolve().parents):
        return "it lies in a sweep directory"
    return None


def _is_obeyed(file: Path) -> bool:
    reason = why_not_obeyed(file)
    if reason is not None:
        _LOG.warning("nobody is told as `notify` in %s says: %s; a copy of yours elsewhere is obeyed", file, reason)
    return reason is None


def _standing(sweep_dir: Path, study: str) -> dict[str, Any]:
    """Cells by status, and the best of each place; nothing where the folder cannot tell, or is another study's, which
    is what a run was refused for.
    """
    try:
        results = current_results(sweep_dir)
    except (SweepError, OSError):
        return {"counts": {}, "best": []}
    cells = results.cells if results.summary.study == study else []
    best = [
        {
            "model": one.model,
            "batch": one.batch,
            "device": one.device,
            "latency_ms": one.known_ms,
            "cell": one.row["cell_name"],
            "cell_id": one.row["cell_id"],
        }
        for one in best_cells(cells)[:_MOST_BEST]
    ]
    return {"counts": dict(Counter(row["status"] for row in cells)), "best": best}


def _tell(place: _Place, message: bytes) -> None:
    if place.notify.command:
        trouble = start(place.notify.command, place.file.resolve().parent, message)
        if trouble is not None:
            _LOG.warning("the command of `notify` in %s %s", place.file, redacted(trouble))
    if place.notify.webhook is not None:
        trouble, address = None, ""
        try:
            address = Template(place.notify.webhook).substitute(os.environ).strip()
        except (KeyError, ValueError):  # of ValueError: a $ before no name
            trouble = "names a variable that is not set"
        trouble = trouble or why_no_webhook(address) or post(address, message)
        if trouble is not None:  # without the address: it may be a secret as a whole
            _LOG.warning("the webhook of `notify` in %s %s", place.file, trouble)
