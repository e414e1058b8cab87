"""The results of a sweep for people and for other tools: printed, or written as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.analysis.rows.runtime_rows import ratios
from sweep.api.session.table_cache import current_results
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.suggestions import hint, listed

__all__ = ["print_report", "runtime_ratios", "write_report"]


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


def runtime_ratios(sweep_dir: Path | str, *, of: str, against: str) -> list[dict[str, Any]]:
    """How one runtime of a sweep stands to another: a row for each model, batch and device where both were measured.

    Of TVM, and of any other runtime with several cells there, the fastest counts. `ratio` is median over median: above
    1, `of` is the slower one; where `is_tied`, their 95 % intervals meet and nobody can tell.

    Raises:
        StudyError: the folder is not a sweep directory, or the sweep has no such runtime.
        LedgerError: the ledger is damaged.
        RecordError: the tables cannot be read.
    """
    folder = Path(sweep_dir)
    SweepDir(folder).require_as("DIR")
    rows = current_results(folder).cells
    runtimes = list(dict.fromkeys(row["runtime"] for row in rows))
    for key, runtime in (("of", of), ("against", against)):
        if runtime not in runtimes:
            problem = f"is no runtime of this sweep{hint(runtime, runtimes)}"
            raise StudyError(problem, key=key, value=runtime, allowed=listed(runtimes))
    return [ratio.as_row() for ratio in ratios(rows, of, against)]


def _check_format(name: str, allowed: Sequence[str]) -> None:
    if name not in allowed:
        raise StudyError("no such format", key="--format", value=name, allowed=", ".join(allowed))
