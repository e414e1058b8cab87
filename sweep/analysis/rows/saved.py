"""Reading back the tables of a sweep directory. Writing them is the business of `record`; reports need only this."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.rows.results import Results, SweepSummary
from sweep.errors import RecordError
from sweep.files.schema_ids import TABLE_VERSION, table_version
from sweep.files.sweep_dir import SweepDir
from sweep.files.typed_json import WrongContent
from sweep.study.runtimes import default_baseline

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUMMARY_CRC_KEY", "SUMMARY_KEY", "read_saved", "read_summary", "read_table", "summary_crc"]

SUMMARY_KEY = b"sweep.summary"
"""Where the metadata of results.parquet keeps the sweep's summary."""
SUMMARY_CRC_KEY = b"sweep.summary_crc"
"""Its checksum: those of the pages do not cover the metadata. Tables of earlier versions have none."""
_MOST_ROWS, _MOST_BYTES = 20_000_000, 4 << 30
"""Of a table, unpacked: a kilobyte may say that it holds terabytes. 10,000 cells have a million repeats."""
_NEEDED = {
    "results": (
        *("cell_id", "cell_name", "model", "target", "tuner", "opt_level", "batch", "device", "runtime"),
        *("status", "error"),
        *("latency_ms_median", "latency_ms_ci_low", "latency_ms_ci_high"),
    ),
    "measurements": ("cell_id", "kind", "seconds"),
    "curves": ("cell_id", "trial", "seconds", "best_latency_ms"),
    "tasks": (
        *("cell_id", "cell_name", "records_dir", "workload", "task", "weight", "reused", "trials", "valid"),
        *("failures_json", "best_s", "gap", "share", "gflops_per_s"),
    ),
}
"""By table, the columns without which nothing can be told: each report reads them."""
_OFTEN_NULL = (
    *("error_class", "failed_stage", "is_stable", "speedup_vs_untuned", "ratio_to_baseline", "tuning_s"),
    *("untuned_tasks", "conditions_json", "mlflow_run_id"),
)
"""Columns of results that reports read, and that many cells have nothing in: a table without one has null there."""


def read_saved(sweep_dir: Path) -> Results:
    """What was written there, as it was handed over. Raises RecordError."""
    cells = read_table(sweep_dir, "results")
    return Results(
        summary=read_summary(sweep_dir, cells.schema.metadata or {}),
        cells=_completed(cells.to_pylist()),
        measurements=read_table(sweep_dir, "measurements").to_pylist(),
        curves=read_table(sweep_dir, "curves").to_pylist(),
        tasks=read_table(sweep_dir, "tasks").to_pylist(),
        layers=read_table(sweep_dir, "layers").to_pylist() if SweepDir(sweep_dir).table("layers").is_file() else [],
    )


def _completed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier version, which knew one runtime beside TVM, or of a damaged table, with what rows have now."""
    rows = [row | {name: None for name in _OFTEN_NULL if name not in row} for row in rows]
    if not rows or "baseline" in rows[0]:
        return rows
    baseline = default_baseline([row["runtime"] for row in rows])
    return [{**row, "baseline": baseline, "ratio_to_baseline": row["ratio_to_onnxruntime"]} for row in rows]


def summary_crc(about: bytes) -> bytes:
    """The checksum of a summary."""
    return f"{zlib.crc32(about):08x}".encode()


def read_summary(sweep_dir: Path, metadata: Mapping[bytes, bytes]) -> SweepSummary:
    """What the metadata of results.parquet says of the sweep. Raises RecordError."""
    path = SweepDir(sweep_dir).table("results")
    if (about := metadata.get(SUMMARY_KEY)) is None:
        raise RecordError(f"{path}: not a result table of a sweep")
    if metadata.get(SUMMARY_CRC_KEY) not in (None, summary_crc(about)):
        raise RecordError(f"{path}: the summary in its metadata is damaged: its checksum is another")
    try:
        return SweepSummary.from_json(about)
    except WrongContent as error:
        raise RecordError(f"{path}: the summary in its metadata: {error}") from error


def read_table(sweep_dir: Path, name: str) -> pa.Table:
    """One of TABLES, its pages held against their checksums where it has any.

    Raises:
        RecordError: it is missing, cannot be read, is of a newer version, says that it is larger than any sweep's, or
            lacks a column that all have.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = SweepDir(sweep_dir).table(name)
    if not path.is_file():
        raise RecordError(f"{path}: no such table; `sweep run` writes it")
    try:
        about = pq.read_metadata(path)
        version = table_version(about.metadata)
        if version.isdecimal() and int(version) > TABLE_VERSION:
            raise RecordError(f"{path}: is of a newer version of sweep ({version}); allowed: up to {TABLE_VERSION}")
        size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        if about.num_rows > _MOST_ROWS or size > _MOST_BYTES or size < 0:
            raise RecordError(f"{path}: says that it has {about.num_rows:,} rows and {size:,} bytes")
        if lacking := [
            column for column in _NEEDED.get(name, ()) if column not in about.schema.to_arrow_schema().names
        ]:
            raise RecordError(f"{path}: not a result table of a sweep: it lacks the column {lacking[0]!r}")
        # `pq.read_table` would load pyarrow's data sets, and pandas with them: half a second of each command
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except (OSError, ValueError, pa.ArrowException) as error:  # of ValueError: names of columns that are no Unicode
        raise RecordError(f"{path}: cannot be read: {error}") from error
