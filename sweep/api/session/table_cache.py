"""Reads the tables of a sweep directory, and makes them anew from plan and ledger where they are older than these.

A run writes them at its end. What a killed one left, and a sweep that still runs, have none, or an earlier run's.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import LedgerError, RecordError
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.analysis.rows.results import Results

__all__ = ["current_results", "known_runs", "known_server", "refresh"]


def refresh(sweep_dir: Path | str) -> None:
    """Write the tables of a sweep where they are missing or of an earlier state; nothing for another folder.

    Each table appears whole, and says what it was made from: two readers at once, or a driver that ends meanwhile, cost
    another derivation and no row. A folder that cannot be written keeps the tables that it has, with a warning.

    Raises:
        LedgerError: the ledger is damaged.
    """
    folder = Path(sweep_dir)
    if SweepDir(folder).is_sweep:
        _derive_where_old(folder)


def current_results(sweep_dir: Path) -> Results:
    """The results of a sweep as it stands, also while it runs, and where its folder cannot be written.

    Raises:
        LedgerError: the folder is not a sweep directory, or has neither a plan that can be read nor tables.
        RecordError: its tables cannot be read.
    """
    from sweep.analysis.rows.saved import read_saved

    return _derive_where_old(sweep_dir) or read_saved(sweep_dir)


def _derive_where_old(sweep_dir: Path) -> Results | None:
    """None where the tables there are current, or are all that can be had."""
    from sweep.analysis.rows.results import derive
    from sweep.record.parquet_tables import write_tables
    from sweep.record.table_source import is_current, source_of
    from sweep.running.ledger.ledger import read_ledger
    from sweep.running.ledger.saved_plan import restore
    from sweep.running.ledger.sweep_outcome import sweep_outcome

    if is_current(sweep_dir):
        return None
    source = source_of(sweep_dir)
    state = read_ledger(sweep_dir)
    try:
        sweep = restore(sweep_dir)
    except LedgerError as error:  # a run that was killed before it had one, or one of an earlier version
        if not SweepDir(sweep_dir).table("results").is_file():
            raise
        logging.getLogger(__name__).warning("the tables stay as they are: %s", error)
        return None
    outcome = sweep_outcome(sweep.plan, sweep.question, state, sweep_dir)
    results = derive(outcome, known_runs(sweep_dir), known_server(sweep_dir))
    try:
        write_tables(results, sweep_dir, source)
    except RecordError as error:
        logging.getLogger(__name__).warning("the tables there are of an earlier state: %s", error)
    return results


def known_runs(sweep_dir: Path) -> dict[str, str]:
    """MLflow runs of cells, as far as earlier tables name them."""
    from sweep.analysis.rows.saved import read_table

    try:
        rows = read_table(sweep_dir, "results").select(["cell_id", "mlflow_run_id"]).to_pylist()
    except (RecordError, KeyError):
        return {}
    return {row["cell_id"]: row["mlflow_run_id"] for row in rows if row["mlflow_run_id"] is not None}


def known_server(sweep_dir: Path) -> str | None:
    """Address of the tracking server that has those runs, where earlier tables name one."""
    from sweep.analysis.rows.results import SweepSummary
    from sweep.analysis.rows.saved import SUMMARY_KEY, read_table

    try:
        about = (read_table(sweep_dir, "results").schema.metadata or {})[SUMMARY_KEY]
        return SweepSummary.from_json(about).mlflow_url or None
    except (RecordError, KeyError, TypeError):  # no tables, or those of another version
        return None
