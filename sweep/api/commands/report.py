"""The results of a sweep for people and for other tools: printed, or written as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.api.session.table_cache import current_results
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir

__all__ = ["print_report", "write_report"]


def print_report(sweep_dir: Path | str, name: str = "table") -> None:
    """Print the results of a sweep as they are now: table, json, markdown or csv; of html and parquet the path.

    Raises:
        StudyError: the folder is not a sweep directory, or there is no such format.
        LedgerError: the ledger is damaged.
        RecordError: the tables cannot be read, or the page cannot be written.
    """
    from sweep.report import writing

    folder = Path(sweep_dir)
    SweepDir(folder).require_as("DIR")
    _check_format(name, writing.FORMATS)
    writing.print_report(folder, name, results=current_results(folder))


def write_report(sweep_dir: Path | str, formats: Sequence[str] = ("html",)) -> list[Path]:
    """Write `report/` of a sweep as its ledger is now, in the formats csv, json, markdown and html; returns the files.

    Raises:
        StudyError: the folder is not a sweep directory, or there is no such format.
        LedgerError: the ledger is damaged.
        RecordError: the tables cannot be read, or the files cannot be written.
    """
    from sweep.report import writing

    folder = Path(sweep_dir)
    SweepDir(folder).require_as("DIR")
    for name in formats:
        _check_format(name, writing.FILES)
    return writing.write_report(current_results(folder), folder, formats)


def _check_format(name: str, allowed: Sequence[str]) -> None:
    if name not in allowed:
        raise StudyError("no such format", key="--format", value=name, allowed=", ".join(allowed))
