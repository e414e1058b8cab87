"""Identifies what the tables of a sweep directory were made from, so that a reader sees whether they are current.

A table keeps the text of its source in its metadata. Contents and sizes decide, not a file's time: clocks are set back.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sweep.analysis.rows.saved import read_summary, read_table
from sweep.errors import RecordError, in_one_line
from sweep.files.schema_ids import TABLE_VERSION, table_version
from sweep.files.sweep_dir import TABLES, SweepDir
from sweep.record.schemas import schema_of
from sweep.study.axes import further_axes

__all__ = ["MISSING", "OLDER", "SOURCE_KEY", "is_current", "source_of", "why_outdated"]

SOURCE_KEY = b"sweep.source"
"""Where the metadata of each table keeps it."""
MISSING, OLDER = "there is none", "it is of an earlier state"
"""Reasons that are no news: a run writes tables at its end."""
_TAIL_BYTES = 4096


def source_of(sweep_dir: Path) -> str:
    """16 hex digits of the plan, the ledger and the logs of trials as they are now; to be asked before they are read.

    Ledger and logs only grow, so of them the sizes are enough, and the ledger's end with its checksum.
    """
    home = SweepDir(sweep_dir)
    digest = hashlib.sha256(_bytes(home.plan))
    if home.ledger.is_file():
        with home.ledger.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            digest.update(f"{size}:".encode() + file.read())
    for axis in further_axes():  # columns that tables made without a package that brings an axis do not have
        digest.update(f"{axis.name}\n".encode())
    for log in sorted(home.records.glob("**/*.jsonl")):
        digest.update(os.fsencode(f"{log.relative_to(sweep_dir)}:{log.stat().st_size}\n"))
    return digest.hexdigest()[:16]


def is_current(sweep_dir: Path) -> bool:
    """Whether all tables are there, of what plan, ledger and logs hold now, and as this version writes them."""
    return why_outdated(sweep_dir) is None


def why_outdated(sweep_dir: Path, *, is_thorough: bool = False) -> str | None:
    """Why the tables must be made again; None where they are current.

    is_thorough: their pages are held against their checksums too, which takes as long as to read them.
    """
    now = source_of(sweep_dir).encode()
    for name in TABLES:
        path = SweepDir(sweep_dir).table(name)
        try:
            schema = pq.read_schema(path)
            if (version := table_version(schema.metadata)) != str(TABLE_VERSION):
                return f"{path.name} is of another version ({version})"
            if is_thorough:
                found = read_table(sweep_dir, name)
                if name == "results":
                    read_summary(sweep_dir, found.schema.metadata or {})
        except FileNotFoundError:
            return MISSING
        except (OSError, ValueError, pa.ArrowException, RecordError) as error:
            return f"{path.name} is damaged ({in_one_line(error)[:160]})"
        if (schema.metadata or {}).get(SOURCE_KEY) != now:
            return OLDER
        if (wrong := _wrong_column(schema, schema_of(name))) is not None:  # columns that reports show
            return f"{path.name} is of another version: {wrong}"
    return None


def _wrong_column(there: pa.Schema, expected: pa.Schema) -> str | None:
    for field in expected:
        index = there.get_field_index(field.name)
        if index < 0:
            return f"it has no column {field.name}"
        if there.field(index).type != field.type:
            return f"its column {field.name} is {there.field(index).type}, not {field.type}"
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
