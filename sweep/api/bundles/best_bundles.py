"""Lays the best cell of each model, batch and device out as a bundle, for whoever takes them from there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.analysis.answering.standing import Best, best_cells
from sweep.analysis.rows.runtime_rows import group_key, is_compiled_row
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.errors import SweepError
from sweep.files.sweep_dir import SweepDir

__all__ = ["clear", "laid_out", "lay_out", "leaders"]

Row = Mapping[str, Any]


@contextmanager
def laid_out(sweep_dir: Path, rows: Sequence[Row]) -> Iterator[None]:
    """The bundles are there meanwhile."""
    lay_out(sweep_dir, rows)
    try:
        yield
    finally:
        clear(sweep_dir)


def clear(sweep_dir: Path) -> None:
    """Remove them."""
    shutil.rmtree(SweepDir(sweep_dir).mlflow_bundles, ignore_errors=True)


def lay_out(sweep_dir: Path, rows: Sequence[Row]) -> None:
    """Write the bundles into the folder from which they go to MLflow, and nothing else is left there.

    A cell whose files are not here, or of a target whose features are not known, is left out, and said so in the log.
    """
    from sweep.api.bundles.manifest import manifest_of
    from sweep.api.bundles.source import cell_source
    from sweep.api.bundles.writing import write_bundle
    from sweep.running.ledger.ledger import read_ledger

    home = SweepDir(sweep_dir).mlflow_bundles
    clear(sweep_dir)
    chosen = [(row, how) for row, how in leaders(rows) if (sweep_dir / row["library"]).is_file()]
    versions = read_ledger(sweep_dir).conditions.get("versions", {}) if chosen else {}
    for index, (row, how) in enumerate(chosen):
        said = {"cell": row["cell_name"], "cell_id": row["cell_id"], "study": row["study"], "how": how}
        try:
            source = cell_source(sweep_dir, row["cell_id"])
            write_bundle(home / f"{index:04d}", manifest_of(row, source, said, versions), source)
        except (SweepError, OSError) as error:
            logging.getLogger(__name__).warning("no MLflow model of %s: %s", row["cell_name"], error)


def leaders(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """The compiled cell of each model, batch and device that is fastest as far as is known, and how that is known; the
    one of least median where all were disturbed. None of those whose outputs were compared with nothing.
    """
    known = {group_key(best.row): best for best in best_cells(rows)}
    compiled = [
        row
        for row in rows
        if is_compiled_row(row) and row.get("library") and row["latency_ms_median"] and not is_unchecked(row)
    ]
    for group in dict.fromkeys(map(group_key, compiled)):
        best = known.get(group)
        if best is not None and best.row in compiled:
            yield best.row, _how(best)
        else:
            there = (row for row in compiled if group_key(row) == group)
            yield min(there, key=lambda row: float(row["latency_ms_median"])), "of least median; all were disturbed"


def _how(best: Best) -> str:
    if best.own.is_certain:
        return "fastest of those compiled"
    others = len(best.own.ties) + len(best.own.open)
    return f"fastest as far as is known; {others} of {len(best.competitors) - 1} others may be as fast"
