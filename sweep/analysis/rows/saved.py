"""Reading back the tables of a sweep directory. Writing them is the business of `record`; reports need only this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.rows.results import Results, SweepSummary
from sweep.errors import RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.study.runtimes import default_baseline

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUMMARY_KEY", "read_saved", "read_table"]

SUMMARY_KEY = b"sweep.summary"
"""Where the metadata of results.parquet keeps the sweep's summary."""


def read_saved(sweep_dir: Path) -> Results:
    """What was written there, as it was handed over. Raises RecordError."""
    cells = read_table(sweep_dir, "results")
    about = (cells.schema.metadata or {}).get(SUMMARY_KEY)
    if about is None:
        raise RecordError(f"{SweepDir(sweep_dir).table('results')}: not a result table of a sweep")
    return Results(
        summary=SweepSummary.from_json(about),
        cells=_completed(cells.to_pylist()),
        measurements=read_table(sweep_dir, "measurements").to_pylist(),
        curves=read_table(sweep_dir, "curves").to_pylist(),
        tasks=read_table(sweep_dir, "tasks").to_pylist(),
    )


def _completed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier version, which knew one runtime beside TVM, with what rows have now."""
    if not rows or "baseline" in rows[0]:
        return rows
    baseline = default_baseline([row["runtime"] for row in rows])
    return [{**row, "baseline": baseline, "ratio_to_baseline": row["ratio_to_onnxruntime"]} for row in rows]


def read_table(sweep_dir: Path, name: str) -> pa.Table:
    """One of TABLES. Raises RecordError where it is missing or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = SweepDir(sweep_dir).table(name)
    if not path.is_file():
        raise RecordError(f"{path}: no such table; `sweep run` writes it")
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from error
