"""Reading back the tables of a sweep directory. Writing them is the business of `record`; reports need only this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.results import Results, SweepSummary
from sweep.errors import RecordError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUMMARY_KEY", "TABLES", "read_saved", "read_table"]

SUMMARY_KEY = b"sweep.summary"
"""Where the metadata of results.parquet keeps the sweep's summary."""
TABLES = {
    "results": "results.parquet",
    "measurements": "measurements.parquet",
    "curves": "tuning_curves.parquet",
    "tasks": "tuning_tasks.parquet",
    "records": "tuning_records.parquet",
}
"""File of each table in a sweep directory."""


def read_saved(sweep_dir: Path) -> Results:
    """What was written there, as it was handed over. Raises RecordError."""
    cells = read_table(sweep_dir, "results")
    about = (cells.schema.metadata or {}).get(SUMMARY_KEY)
    if about is None:
        raise RecordError(f"{sweep_dir / TABLES['results']}: not a result table of a sweep")
    return Results(
        summary=SweepSummary.from_json(about),
        cells=cells.to_pylist(),
        measurements=read_table(sweep_dir, "measurements").to_pylist(),
        curves=read_table(sweep_dir, "curves").to_pylist(),
        tasks=read_table(sweep_dir, "tasks").to_pylist(),
    )


def read_table(sweep_dir: Path, name: str) -> pa.Table:
    """One of TABLES. Raises RecordError where it is missing or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = sweep_dir / TABLES[name]
    if not path.is_file():
        raise RecordError(f"{path}: no such table; `sweep run` writes it")
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
