"""The imported logs of a folder: one native log for each device and tuner, which only grows.

A log has the lines that were imported, without those that were left out; so a line keeps its number, and a TVM that
still has the tuner reads the file. The table is made of these logs alone.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pyarrow as pa

from sweep.analysis.old_logs import FORMATS, LogReader, OldRecord
from sweep.errors import RecordError
from sweep.files.atomic import replacing
from sweep.files.sweep_dir import SweepDir, records_folder
from sweep.record.parquet_tables import record_rows, write_records

__all__ = ["ImportedLogEntry", "ImportedLogs"]

_PART = 8192
"""Rows that become columns at a time: they take a fraction of the memory there."""
_SPOOL_BYTES = 32 << 20


class ImportedLogs:
    """All imported logs of a folder. A context manager: leaving it drops additions that were not saved."""

    def __init__(self, folder: Path) -> None:
        """Raises StudyError where a line was damaged since it was written."""
        self._folder = folder
        self._stack = ExitStack()
        self._logs: dict[tuple[str, str], ImportedLogEntry] = {}
        for path in SweepDir(folder).records.glob("*/*.jsonl"):
            if path.stem in FORMATS and path.is_file():
                self.of(path.parent.name, path.stem)

    def __enter__(self) -> ImportedLogs:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, device: str, tuner: str) -> ImportedLogEntry:
        """One of them, empty where there is none yet."""
        which = (device, tuner)
        if which not in self._logs:
            self._logs[which] = self._stack.enter_context(closing(ImportedLogEntry(self._folder, device, tuner)))
        return self._logs[which]

    def save(self) -> pa.Table:
        """Write what was added, and the table of all. Returns the table. Raises RecordError."""
        for log in self._logs.values():
            log.save()
        table = pa.concat_tables([self._logs[which].rows() for which in sorted(self._logs)])
        write_records(table, self._folder)
        return table


class ImportedLogEntry:
    """One device's log of one tuner: read when it is opened, and written by `save` where something was added."""

    def __init__(self, folder: Path, device: str, tuner: str) -> None:
        """Raises StudyError where a line of it was damaged since it was written."""
        self.device, self.tuner = device, tuner
        self._name = f"{records_folder(device, tuner)}.jsonl"
        self._path = folder / self._name
        self._line_of: dict[bytes, int] = {}
        self._parts: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []
        self._new = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115  `close` closes it
        self._before = 0
        if self._path.is_file():
            with self._path.open("rb") as file:
                for _, record in LogReader(str(self._path)).records(file):
                    self._book(record, record.digest())
        self._before = len(self._line_of)

    def add(self, line: bytes, record: OldRecord) -> str | None:
        """Take a record with its line. Returns why it is left out; None where it is not."""
        digest = record.digest()
        known = self._line_of.get(digest)
        if known is not None:
            return "imported before" if known < self._before else "repeated"
        self._book(record, digest)
        self._new.write(line + b"\n")
        return None

    def rows(self) -> pa.Table:
        """Its rows of tuning_records.parquet, a row a line."""
        self._end_part()
        return pa.concat_tables([record_rows([]), *self._parts])

    def save(self) -> None:
        """Put the new lines behind the old. A kill leaves the file as it was or as it shall be. Raises RecordError."""
        if len(self._line_of) == self._before:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path, is_synced=True) as partial:
                if self._path.is_file():
                    shutil.copyfile(self._path, partial)
                self._new.seek(0)
                with partial.open("ab") as file:
                    shutil.copyfileobj(self._new, file)
        except OSError as error:
            raise RecordError(f"{self._path}: cannot be written: {error}") from error

    def close(self) -> None:
        """Let go of what was not saved."""
        self._new.close()

    def _book(self, record: OldRecord, digest: bytes) -> None:
        line = self._line_of.setdefault(digest, len(self._line_of))
        self._rows.append(record.as_row(self.device, self._name, line))
        if len(self._rows) == _PART:
            self._end_part()

    def _end_part(self) -> None:
        self._parts.append(record_rows(self._rows))
        self._rows = []
