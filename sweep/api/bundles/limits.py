"""Which cells may be shipped for a study that has limits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.analysis.rows.objective_fit import fulfils, is_in_the_running, limit_words, nearest
from sweep.errors import StudyError

__all__ = ["within_limits"]

Row = Mapping[str, Any]


def within_limits(folder: Path, compiled: Sequence[Row]) -> list[Row]:
    """Those that keep the limits of the study's objective, or may yet. Raises StudyError where none is known to."""
    running = [row for row in compiled if is_in_the_running(row)]
    closest = nearest(compiled)
    if closest is None or any(fulfils(row) for row in running):
        return running
    name = closest["cell_name"]
    export = shlex.join(["sweep", "export", str(folder), name, "--out", "FOLDER"])
    raise StudyError(
        f"has no cell that is known to keep the limits of the objective; nearest is {name!r}: {limit_words(closest)}",
        key="DIR",
        value=str(folder),
        allowed=f"a CELL by name: `{export}`",
    )
