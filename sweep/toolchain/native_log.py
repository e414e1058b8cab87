"""A MetaSchedule database as the text that it is: two files of lines, read, put together and added to without TVM.

A line of the records names its workload by the position of that one's line. So a record is carried from one database to
another by its two lines, of which only that number changes, and the other database loads wherever the first one did.
What cannot be read of a database, since a disk has torn or damaged the line, is left out and costs no other line.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.sentinel_values import median_s
from sweep.files.atomic import write_text
from sweep.files.line_log import append_line, cut_torn_line

__all__ = [
    "NOTHING",
    "RECORDS",
    "WORKLOADS",
    "NativeLog",
    "NativeReader",
    "NativeRecord",
    "is_workload",
    "lines_of",
    "position_in",
    "read_log",
    "write_log",
]

WORKLOADS, RECORDS = "database_workload.json", "database_tuning_record.json"
NOTHING = "[0, [[[], []], null, null, null]]"
"""Stands where a record could not be read: an empty trace that was never measured. Records are told by the numbers of
their lines, so none can be taken out."""
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
    def trace(self) -> Any:
        """The schedule, as JSON."""
        return json.loads(self.record)[1][0]

    @property
    def median_s(self) -> float | None:
        """Of its repeats; None for a failure."""
        return median_s(json.loads(self.record)[1][1])

    @property
    def target(self) -> Mapping[str, Any]:
        """The target that it was built for, as TVM exports it."""
        found: Mapping[str, Any] = json.loads(self.record)[1][2]
        return found


def is_workload(line: str) -> bool:
    """Whether a line has the form of a workload's: [hash, serialised module]."""
    found = _parsed(line)
    return isinstance(found, list) and [type(part) for part in found] == [str, str]


def position_in(line: str) -> int | None:
    """Of a record's workload; None where the line has not the form of a record's: [position, [trace, run_secs, target,
    arguments]]. TVM dies of some that have not, an empty one for instance.
    """
    found = _parsed(line)
    if not (isinstance(found, list) and len(found) == 2 and type(found[0]) is int and found[0] >= 0):
        return None
    if not (isinstance(found[1], list) and len(found[1]) == 4):
        return None
    run_secs = found[1][1]
    is_well = run_secs is None or (isinstance(run_secs, list) and all(type(one) in (int, float) for one in run_secs))
    return found[0] if is_well else None


def lines_of(path: Path) -> Iterator[str | None]:
    """The whole lines of a file that may be missing or growing; None for one that is no text."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield _text(line)


def read_log(folder: Path) -> Iterator[tuple[int, NativeRecord]]:
    """The records of a database that may be missing or growing, each with its line, counted from 0."""
    workloads = [line if line is not None and is_workload(line) else None for line in lines_of(folder / WORKLOADS)]
    for number, line in enumerate(lines_of(folder / RECORDS)):
        position = None if line is None or line == NOTHING else position_in(line)
        if line is not None and position is not None and position < len(workloads):
            workload = workloads[position]
            if workload is not None:
                yield number, NativeRecord(workload, line)


class NativeReader:
    """A database to read from by line, also while it grows: what came after it was opened is not seen."""

    def __init__(self, folder: Path) -> None:
        """Find where its lines begin; it may be missing."""
        self._workloads, self._records = _LineReader(folder / WORKLOADS), _LineReader(folder / RECORDS)

    def record(self, line: int) -> NativeRecord | None:
        """A record by its line, counted from 0; None where the database does not have it whole."""
        record = self._records.line(line)
        position = None if record is None or record == NOTHING else position_in(record)
        workload = None if position is None else self._workloads.line(position)
        if record is None or workload is None or not is_workload(workload):
            return None
        return NativeRecord(workload, record)


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
            return _text(file.readline())


def write_log(records: Iterable[NativeRecord], folder: Path) -> None:
    """Write a database with these records alone; a reader sees the former one or this."""
    folder.mkdir(parents=True, exist_ok=True)
    positions: dict[str, int] = {}
    lines = [record.at(positions.setdefault(record.workload, len(positions))) for record in records]
    for name, texts in ((RECORDS, lines), (WORKLOADS, list(positions))):
        write_text(folder / name, "".join(f"{text}\n" for text in texts))


class NativeLog:
    """A database that grows. One writer."""

    def __init__(self, folder: Path) -> None:
        """Open it, making or mending it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (WORKLOADS, RECORDS):
            cut_torn_line(folder / name)
        self._folder = folder
        workloads = list(lines_of(folder / WORKLOADS))
        self._positions = {line: position for position, line in enumerate(workloads) if line is not None}
        self._workloads = len(workloads)
        self.records = sum(1 for _ in lines_of(folder / RECORDS))

    def add(self, record: NativeRecord) -> int:
        """Append a record, and its workload where it is new; returns the record's line, counted from 0.

        Raises OSError where the disk refuses.
        """
        if record.workload not in self._positions:
            append_line(self._folder / WORKLOADS, record.workload)
            self._positions[record.workload] = self._workloads
            self._workloads += 1
        append_line(self._folder / RECORDS, record.at(self._positions[record.workload]))
        self.records += 1
        return self.records - 1


def _text(line: bytes) -> str | None:
    try:
        return line.rstrip(b"\n").decode()
    except UnicodeDecodeError:
        return None


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
