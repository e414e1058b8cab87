"""A MetaSchedule database as the text that it is: two files of lines, read, put together and added to without TVM.

A line of the records names its workload by the position of that one's line. So a record is carried from one database to
another by its two lines, of which only that number changes, and the other database loads wherever the first one did.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.toolchain.tuning.records import cut_torn_line

__all__ = ["RECORDS", "WORKLOADS", "NativeLog", "NativeReader", "NativeRecord", "write_log"]

WORKLOADS, RECORDS = "database_workload.json", "database_tuning_record.json"
_POSITION = re.compile(r"\s*\[\s*(\d+)\s*,")


@dataclass(frozen=True, slots=True)
class NativeRecord:
    """A tuning record with its workload, as lines without their ends."""

    workload: str
    record: str

    def at(self, position: int) -> str:
        """The record's line in a database that has its workload at this position, counted from 0."""
        return _POSITION.sub(f"[{position},", self.record, count=1)

    def measured(self, run_secs: Sequence[float], target: Mapping[str, Any]) -> NativeRecord:
        """The same schedule, measured elsewhere: its times and its target are others."""
        position, (trace, _, _, *rest) = json.loads(self.record)
        return NativeRecord(self.workload, json.dumps([position, [trace, list(run_secs), dict(target), *rest]]))

    @property
    def target(self) -> Mapping[str, Any]:
        """The target that it was built for, as TVM exports it."""
        found: Mapping[str, Any] = json.loads(self.record)[1][2]
        return found


class NativeReader:
    """A database to read from, also while it grows: what came after it was opened is not seen."""

    def __init__(self, folder: Path) -> None:
        """Find where its lines begin; it may be missing."""
        self._workloads, self._records = _LineReader(folder / WORKLOADS), _LineReader(folder / RECORDS)

    def record(self, line: int) -> NativeRecord | None:
        """A record by its line, counted from 0; None where the database does not have it whole."""
        record = self._records.line(line)
        position = None if record is None else _POSITION.match(record)
        workload = None if position is None else self._workloads.line(int(position.group(1)))
        return None if record is None or workload is None else NativeRecord(workload, record)


class _LineReader:
    """The whole lines of a file, by number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = [0]
        if path.is_file():
            with path.open("rb") as file:
                self._ends += itertools.accumulate(len(line) for line in file if line.endswith(b"\n"))

    def line(self, number: int) -> str | None:
        if not 0 <= number < len(self._ends) - 1:
            return None
        with self._path.open("rb") as file:
            file.seek(self._ends[number])
            return file.readline().decode(errors="replace").rstrip("\n")


def write_log(records: Iterable[NativeRecord], folder: Path) -> None:
    """Write a database with these records alone; a reader sees the former one or this."""
    folder.mkdir(parents=True, exist_ok=True)
    positions: dict[str, int] = {}
    lines = [record.at(positions.setdefault(record.workload, len(positions))) for record in records]
    for name, texts in ((RECORDS, lines), (WORKLOADS, list(positions))):
        partial = folder / f".{name}.partial"
        partial.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        partial.replace(folder / name)


class NativeLog:
    """A database that grows. One writer."""

    def __init__(self, folder: Path) -> None:
        """Open it, making or mending it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (WORKLOADS, RECORDS):
            cut_torn_line(folder / name)
        self._folder = folder
        self._positions = {line: position for position, line in enumerate(_lines(folder / WORKLOADS))}
        self.records = sum(1 for _ in _lines(folder / RECORDS))

    def add(self, record: NativeRecord) -> int:
        """Append a record, and its workload where it is new; returns the record's line, counted from 0."""
        if record.workload not in self._positions:
            _append(self._folder / WORKLOADS, record.workload)
            self._positions[record.workload] = len(self._positions)
        _append(self._folder / RECORDS, record.at(self._positions[record.workload]))
        self.records += 1
        return self.records - 1


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _lines(path: Path) -> Iterator[str]:
    """The whole lines of a file that may be growing."""
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line.rstrip("\n")
