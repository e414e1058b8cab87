"""Result tables of a sweep directory: Parquet files written whole or not at all, and read back.

results.parquet (one row a cell) carries the sweep's summary in its own metadata, so that one copied file still says
which question it answers and under which conditions it was measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweep.analysis.rows.results import Results
from sweep.analysis.rows.saved import SUMMARY_CRC_KEY, SUMMARY_KEY, read_saved, read_table, summary_crc
from sweep.analysis.rows.training_rows import training_curves
from sweep.errors import RecordError
from sweep.files.atomic import replacing
from sweep.files.line_checksum import is_as_written
from sweep.files.line_log import MOST_LINE_BYTES, lines_in
from sweep.files.schema_ids import SCHEMA_KEY, TABLE_VERSION, VERSION_KEY, schema_id
from sweep.files.sweep_dir import SELDOM_TABLES, SweepDir
from sweep.files.typed_json import Fields, WrongContent, fields_of, parsed
from sweep.record.arrow_columns import column_of
from sweep.record.schemas import (
    TUNING_RECORDS,
    schema_of,
)
from sweep.record.table_source import SOURCE_KEY

__all__ = [
    "read_measurements",
    "read_results",
    "read_saved",
    "record_rows",
    "write_records",
    "write_tables",
]


def write_tables(results: Results, sweep_dir: Path, source: str = "") -> list[Path]:
    """Write all tables of a sweep and return their paths. `source`: what they were made from, as `source_of` says.

    Each appears under its name complete: a reader, or a kill in mid-write, sees the former file or the new one.
    Raises RecordError where the directory cannot be written.
    """
    summary = results.summary.to_json().encode()
    about = {SUMMARY_KEY: summary, SUMMARY_CRC_KEY: summary_crc(summary)}
    tables = {
        "results": _table(results.cells, schema_of("results").with_metadata(about)),
        "measurements": _table(results.measurements, schema_of("measurements")),
        "curves": _table(results.curves, schema_of("curves")),
        "tasks": _table(results.tasks, schema_of("tasks")),
        "records": _table(list(_trial_rows(sweep_dir)), schema_of("records")),
    }
    if results.layers:
        tables["layers"] = _table(results.layers, schema_of("layers"))
    if curves := training_curves(results.summary.training):
        tables["training"] = _table(curves, schema_of("training"))
    for name in SELDOM_TABLES.keys() - tables.keys():  # that the study had before
        _remove(SweepDir(sweep_dir).table(name))
    return [_write(_identified(table, name, source), SweepDir(sweep_dir).table(name)) for name, table in tables.items()]


def record_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A part of tuning_records.parquet: some of its rows. Raises RecordError for a value that no column takes."""
    return _table(rows, TUNING_RECORDS)


def write_records(records: pa.Table, folder: Path) -> Path:
    """Write tuning_records.parquet alone, for records that no sweep has made. Raises RecordError."""
    return _write(records, SweepDir(folder).table("records"))


def read_results(sweep_dir: Path) -> pa.Table:
    """results.parquet: one row a cell. Raises RecordError where there is none, or none that can be read."""
    return read_table(sweep_dir, "results")


def read_measurements(sweep_dir: Path) -> pa.Table:
    """measurements.parquet: one row a repeat. Raises RecordError."""
    return read_table(sweep_dir, "measurements")


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    # Column by column: `Table.from_pylist` would drop a key that no column has without a word.
    unknown = set(rows[0]) - set(schema.names) if rows else set()
    if unknown:
        raise RecordError(f"rows have values that no column takes: {', '.join(sorted(unknown))}")
    try:
        arrays = [column_of([row.get(field.name) for row in rows], field.type) for field in schema]
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"a value does not fit its column: {error}") from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _identified(table: pa.Table, name: str, source: str) -> pa.Table:
    about = {SCHEMA_KEY: schema_id(name, TABLE_VERSION), VERSION_KEY: str(TABLE_VERSION), SOURCE_KEY: source}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **about})


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"{path}: cannot be removed: {error.strerror}") from error


def _write(table: pa.Table, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error}") from error
    return path


def _trial_rows(sweep_dir: Path) -> Iterator[dict[str, Any]]:
    for log in sorted(SweepDir(sweep_dir).records.glob("**/trials.jsonl")):
        name, validated = str(log.relative_to(sweep_dir)), _validated(log.with_name("validations.jsonl"))
        for trial in _lines(log, _TRIAL):
            target = trial.get("target")
            as_text = target if target is None or isinstance(target, str) else json.dumps(target, sort_keys=True)
            again_s = validated.get(trial["record"]) if trial.get("record") is not None else None
            own = {"target": as_text, "validated_s": again_s, "log": name}
            yield {field: trial.get(field) for field in TUNING_RECORDS.names} | own


def _validated(log: Path) -> dict[int, float]:
    """Median of each record that was measured again, the latest where it was so twice."""
    return {one.record: one.median_s for line in _lines(log, _VALIDATION) for one in line["contenders"]}


@dataclass(frozen=True, slots=True)
class _Contender:
    record: int
    median_s: float


_VALIDATION = fields_of(contenders=tuple[_Contender, ...])
_HINTS: Mapping[pa.DataType, Any] = {
    pa.string(): str,
    pa.int64(): int,
    pa.int32(): int,
    pa.float64(): float,
    pa.list_(pa.float64()): Sequence[float],
}
_TRIAL = fields_of(
    **{each.name: (_HINTS[each.type] if each.name != "target" else Any) | None for each in TUNING_RECORDS}
)
"""What a line of trials.jsonl has of the columns."""


def _lines(log: Path, fields: Fields) -> Iterator[dict[str, Any]]:
    if not log.is_file():
        return
    with log.open("rb") as file:
        for line in lines_in(file):
            if not is_as_written(line):
                continue
            try:
                yield fields.of(parsed(line, most_bytes=MOST_LINE_BYTES))
            except WrongContent:  # the last line of a log whose writer was killed, or a damaged one: it is not recorded
                continue
