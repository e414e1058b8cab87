"""Tables and report of a sweep as its folder has it: those of a large one are written by a process of their own.

All rows, tables and pictures of 10,000 cells take hundreds of MB for some seconds. Another process gives them back, and
the driver stays as small as it was while cells ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep import errors
from sweep.api.bundles.best_bundles import lay_out
from sweep.errors import RecordError, SweepError
from sweep.installation import child_environment

if TYPE_CHECKING:
    from sweep.analysis.outcome import SweepOutcome
    from sweep.analysis.rows.results import Results

__all__ = ["HERE_UP_TO_CELLS", "current_outcome", "main", "write_report_of", "write_results"]

HERE_UP_TO_CELLS = 1_000
"""To start a process and load what tables and pictures take costs a second, which small sweeps would pay in vain."""


def current_outcome(sweep_dir: Path) -> SweepOutcome:
    """How a sweep stands, from its folder alone.

    Raises:
        LedgerError: the folder is not a sweep directory, or has no plan that can be read.
    """
    from sweep.running.ledger.ledger import read_ledger
    from sweep.running.ledger.saved_plan import restore
    from sweep.running.ledger.sweep_outcome import sweep_outcome

    state = read_ledger(sweep_dir)
    sweep = restore(sweep_dir)
    return sweep_outcome(sweep.plan, sweep.question, state, sweep_dir)


def write_report_of(
    sweep_dir: Path, cells: int, run_ids: Mapping[str, str], tracking_uri: str | None, *, with_bundles: bool = False
) -> None:
    """Tables and report of a sweep of so many cells, with the names of their MLflow runs and where those are.

    with_bundles: those of the best cells too, laid out for MLflow.

    Raises:
        RecordError: they cannot be written.
    """
    if cells <= HERE_UP_TO_CELLS:
        _write(sweep_dir, run_ids, tracking_uri, with_bundles)
        return
    order = json.dumps(
        {
            "sweep_dir": str(sweep_dir),
            "run_ids": dict(run_ids),
            "tracking_uri": tracking_uri,
            "with_bundles": with_bundles,
        }
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; from {__name__} import main; sys.exit(main())"],
        input=order,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C in a terminal is the driver's, which ends this one
    )
    if ended.returncode != 0:
        raise _error_of(ended)


def write_results(outcome: SweepOutcome, run_ids: Mapping[str, str], tracking_uri: str | None) -> Results:
    """Tables and report, with the names of the MLflow runs and where they are."""
    from sweep.analysis.rows.results import derive
    from sweep.record.parquet_tables import write_tables
    from sweep.record.table_source import source_of
    from sweep.report.writing import write_report

    source = source_of(outcome.sweep_dir)
    results = derive(outcome, run_ids, tracking_uri)
    write_tables(results, outcome.sweep_dir, source)
    write_report(results, outcome.sweep_dir)
    return results


def _write(sweep_dir: Path, run_ids: Mapping[str, str], tracking_uri: str | None, with_bundles: bool) -> None:
    results = write_results(current_outcome(sweep_dir), run_ids, tracking_uri)
    if with_bundles:
        lay_out(sweep_dir, results.cells)


def _error_of(ended: subprocess.CompletedProcess[str]) -> SweepError:
    try:
        answer = json.loads(ended.stdout)
        error: SweepError = getattr(errors, answer["error_class"])(answer["error"])
    except (ValueError, KeyError, AttributeError):  # it was killed, or has told of a bug
        return RecordError(f"the process that writes tables and report ended with {ended.returncode}")
    return error


def main() -> int:
    """Write what the order on the input says; a line that tells what is wrong, where it cannot be done."""
    order = json.loads(sys.stdin.read())
    try:
        _write(Path(order["sweep_dir"]), order["run_ids"], order["tracking_uri"], order["with_bundles"])
    except SweepError as error:
        sys.stdout.write(json.dumps({"error_class": type(error).__name__, "error": str(error)}))
        return 1
    return 0
