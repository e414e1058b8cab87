"""Identifies what the tables of a sweep directory were made from, so that a reader sees whether they are current.

A table keeps the text of its source in its metadata. Contents and sizes decide, not a file's time: clocks are set back.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sweep.files.sweep_dir import TABLES, SweepDir
from sweep.record.schemas import results_schema
from sweep.study.axes import further_axes

__all__ = ["SOURCE_KEY", "is_current", "source_of"]

SOURCE_KEY = b"sweep.source"
"""Where the metadata of each table keeps it."""
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
        digest.update(f"{log.relative_to(sweep_dir)}:{log.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def is_current(sweep_dir: Path) -> bool:
    """Whether all tables are there, of what plan, ledger and logs hold now, and with the columns that there are now."""
    now = source_of(sweep_dir).encode()
    if not all(_source(SweepDir(sweep_dir).table(name)) == now for name in TABLES):
        return False
    schema = _schema(SweepDir(sweep_dir).table("results"))  # an earlier version's lacks columns that reports show
    return schema is not None and set(results_schema().names) <= set(schema.names)


def _source(path: Path) -> bytes | None:
    schema = _schema(path)
    return None if schema is None else (schema.metadata or {}).get(SOURCE_KEY)


def _schema(path: Path) -> pa.Schema | None:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
