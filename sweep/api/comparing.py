"""Compares cells of a finished sweep, from its tables."""

from __future__ import annotations

from pathlib import Path

from sweep.analysis.comparison import CellComparison, MeasuredCell, compare_cells, find_cell
from sweep.api.deriving import refresh

__all__ = ["compare"]


def compare(sweep_dir: Path | str, first: str, second: str, *, across_hosts: bool = False) -> CellComparison:
    """Is the cell `first` of a sweep faster than `second`?

    A cell is meant by its name, by its id or the beginning of it, or by words of its name that no other has all of.

    Raises:
        RecordError: the sweep has no tables.
        StudyError: a cell is not there or has no measurement, or the two were measured on different hosts.
    """
    import pyarrow.compute as pc

    from sweep.record.tables import read_measurements, read_results

    folder = Path(sweep_dir)
    refresh(folder)
    rows = read_results(folder).to_pylist()
    measurements = read_measurements(folder)

    def measured(wanted: str) -> MeasuredCell:
        row = find_cell(rows, wanted)
        mine = (pc.field("cell_id") == row["cell_id"]) & (pc.field("kind") == "repeat")
        return MeasuredCell.of(row, measurements.filter(mine).column("seconds").to_pylist())

    return compare_cells(measured(first), measured(second), across_hosts)
