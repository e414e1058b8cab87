"""Reads the cells of all sweeps in a folder, in the order of their time."""

from __future__ import annotations

import logging
from pathlib import Path

from sweep.analysis.comparing.cell_history import CellHistory, histories
from sweep.analysis.comparing.comparison import find_cell
from sweep.api.session.table_cache import current_results
from sweep.errors import LedgerError, RecordError, StudyError
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SweepDir

__all__ = ["history", "write_history_page"]


def history(root: Path | str, cell: str | None = None) -> list[CellHistory]:
    """A cell, or each cell, over the sweep directories right below a folder. What cannot be read is left out, and told.

    cell: its name, its id or the beginning of it, or words of its name that no other has all of.

    Raises:
        StudyError: there is no sweep, or the cell is none of theirs.
    """
    folder, sweeps = Path(root), []
    for sweep in SweepDir.below(folder):
        try:
            results = current_results(sweep.path)
        except (LedgerError, RecordError) as error:
            logging.getLogger(__name__).warning("%s is left out: %s", sweep.path, error)
            continue
        sweeps.append((sweep.path.name, results.summary.started_t, results.cells))
    if not sweeps:
        raise StudyError("holds no sweep", key="ROOT", value=str(folder), allowed="a folder with sweep directories")
    found = histories(sweeps)
    if cell is None:
        return found
    meant = find_cell([one.moments[-1].row for one in found], cell)
    return [one for one in found if one.cell_id == meant["cell_id"]]


def write_history_page(found: list[CellHistory], path: Path) -> None:
    """Write the histories as a page with pictures. Raises StudyError where it cannot be written."""
    from sweep.report.history_page import render_history

    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        write_text(path.absolute(), render_history(found))
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--html", value=str(path)) from error
