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
    import pyarrow

    from sweep.analysis.rows.results import Results

__all__ = ["current_results", "known_runs", "known_server", "readable_table", "refresh", "tell_why"]


def refresh(sweep_dir: Path | str) -> None:
    """Write the tables of a sweep where they are missing or of an earlier state; nothing for another folder.

    Each table appears whole, and says what it was made from: two readers at once, or a driver that ends meanwhile, cost
    another derivation and no row. A folder that cannot be written keeps the tables that it has, with a warning.

    Raises:
        LedgerError: the ledger is damaged, or something in the folder leads out of it.
    """
    folder = Path(sweep_dir)
    SweepDir(folder).check_inside()
    if SweepDir(folder).is_sweep:
        _derive_where_old(folder)


def current_results(sweep_dir: Path) -> Results:
    """The results of a sweep as it stands, also while it runs, and where its folder cannot be written.

    Raises:
        LedgerError: the folder is not a sweep directory, or has neither a plan that can be read nor tables.
        RecordError: its tables cannot be read.
    """
    from sweep.analysis.rows.saved import read_saved

    derived = _derive_where_old(sweep_dir)
    if derived is not None:
        return derived
    try:
        return read_saved(sweep_dir)
    except RecordError:
        return _derive_where_old(sweep_dir, is_thorough=True) or read_saved(sweep_dir)


def readable_table(sweep_dir: Path, name: str) -> pyarrow.Table:
    """One of the tables, which `refresh` has seen to; made again where it proves damaged.

    Raises:
        LedgerError: the ledger is damaged.
        RecordError: the sweep does not have it, or the folder cannot be written.
    """
    from sweep.analysis.rows.saved import read_table

    try:
        return _with_all_columns(read_table(sweep_dir, name), sweep_dir, name)
    except RecordError:
        if not SweepDir(sweep_dir).is_sweep:
            raise
    _derive_where_old(sweep_dir, is_thorough=True)
    return _with_all_columns(read_table(sweep_dir, name), sweep_dir, name)


def _with_all_columns(table: pyarrow.Table, sweep_dir: Path, name: str) -> pyarrow.Table:
    """With nulls for the columns of a later version, where a table of an earlier one is all that can be had."""
    import pyarrow

    from sweep.record.schemas import schema_of

    for field in schema_of(name):
        if field.name not in table.schema.names:
            table = table.append_column(field, pyarrow.nulls(len(table), field.type))
        elif table.schema.field(field.name).type != field.type:
            path, there = SweepDir(sweep_dir).table(name), table.schema.field(field.name).type
            raise RecordError(f"{path}: its column {field.name} is {there}, not {field.type}")
    return table


def tell_why(sweep_dir: Path, why: str | None) -> None:
    """Tell that tables are made again, where that is news: not of those that a run had no time to write."""
    from sweep.record.table_source import MISSING, OLDER

    if why not in (None, MISSING, OLDER):
        logging.getLogger(__name__).warning("%s: %s; made again from plan and ledger", sweep_dir, why)


def _derive_where_old(sweep_dir: Path, *, is_thorough: bool = False) -> Results | None:
    """None where the tables there are current, or are all that can be had. is_thorough: their pages are looked at."""
    from sweep.analysis.rows.results import derive
    from sweep.record.parquet_tables import write_tables
    from sweep.record.table_source import source_of, why_outdated
    from sweep.running.ledger.ledger import read_ledger
    from sweep.running.ledger.saved_plan import restore
    from sweep.running.ledger.sweep_outcome import sweep_outcome

    why = why_outdated(sweep_dir, is_thorough=is_thorough)
    if why is None:
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
    tell_why(sweep_dir, why)
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
    from sweep.analysis.rows.saved import read_summary, read_table

    try:
        return read_summary(sweep_dir, read_table(sweep_dir, "results").schema.metadata or {}).mlflow_url or None
    except RecordError:  # no tables, or those of another version
        return None
