"""What a run publishes at its end: cells in MLflow, tables, report, and a note of what these were made from."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from sweep.api.bundles.best_bundles import clear
from sweep.api.session.reporting import write_report_of
from sweep.api.session.run_mirror import MirrorProcess
from sweep.api.session.table_cache import known_runs, known_server, tell_why
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SweepDir

__all__ = ["is_published", "publish"]

_PATIENCE_S = 20.0
"""How long MLflow may make no progress at the end of a run. While it gets on, it is waited for."""
_PATIENCE_AFTER_INTERRUPT_S = 5.0
"""The same after Ctrl-C; and no longer than this in any case."""


def is_published(sweep_dir: Path) -> bool:
    """Whether tables, report and MLflow are of the ledger's last line, and of this plan."""
    from sweep.record.table_source import source_of, why_outdated

    try:
        noted = SweepDir(sweep_dir).reported.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    if noted != source_of(sweep_dir):
        return False
    why = why_outdated(sweep_dir, is_thorough=True)
    tell_why(sweep_dir, why)
    return why is None


def publish(sweep_dir: Path, cells: int, mirror: MirrorProcess | None, status: str) -> None:
    """Write cells into MLflow, then tables and report with the names of their runs, then these and the models of the
    best cells into MLflow.

    cells: how many the study has. mirror: started; None where the sweep is not mirrored. A store that does not get on
    is warned of, and the next run tries again.

    Raises:
        RecordError: tables or report cannot be written.
    """
    from sweep.record.table_source import source_of

    source = source_of(sweep_dir)
    if mirror is None:
        write_report_of(sweep_dir, cells, known_runs(sweep_dir), known_server(sweep_dir))
        _note(sweep_dir, source)
        return
    mirror.patience_s = _PATIENCE_S
    if status == "interrupted":
        mirror.patience_s = mirror.limit_s = _PATIENCE_AFTER_INTERRUPT_S
    is_in = False
    with suppress(KeyboardInterrupt):  # who has no patience with MLflow gets the tables all the same
        is_in = mirror.settle()
    has_time = is_in and status != "interrupted"
    write_report_of(sweep_dir, cells, mirror.run_ids, mirror.tracking_uri, with_bundles=has_time)
    try:
        is_finished = is_in and mirror.finish(status)
    finally:
        clear(sweep_dir)
    if is_finished:
        _note(sweep_dir, source)
    else:
        logging.getLogger(__name__).warning(
            "MLflow lacks some of this sweep: %s; the same again, or `sweep mirror %s`, writes it",
            mirror.trouble,
            sweep_dir,
        )


def _note(sweep_dir: Path, source: str) -> None:
    """Without the note, the next run writes tables, report and MLflow once more."""
    with suppress(OSError):
        write_text(SweepDir(sweep_dir).reported, source)
