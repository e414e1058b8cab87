"""The native database of a records folder: opened also where a disk has damaged its lines, and added to by the line.

MetaSchedule's own object keeps each record that it is given, with its trace as instructions, for queries that nobody
makes while a tuner works. Here it reads what there is, to see that it can be read, and is let go; records are lines
from then on.

MetaSchedule takes a file whole or not at all, and dies of an empty line. Records and workloads are told by the numbers
of their lines, so a damaged line is not taken out: an empty record stands in its place, and the damaged bytes are kept
in a file beside.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.files.atomic import write_bytes
from sweep.files.line_log import LineLog, append_line, check_whole, cut_torn_line
from sweep.toolchain.native_log import NOTHING, RECORDS, WORKLOADS, is_workload, lines_of, position_in

if TYPE_CHECKING:
    from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord, Workload

__all__ = ["NativeDatabase", "NativeWorkload", "PlacedRecord"]

_THROWN_AWAY_AFTER = 32
"""Records. To begin anew takes a millisecond, and as much again for each workload that comes."""
_SCRATCH = ".scratch"
_POSITION = re.compile(r"\s*\[\s*\d+\s*,")
_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError)
"""What TVM raises of a line that is damaged and still has its form."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NativeWorkload:
    """A workload of a native database."""

    workload: Workload
    position: int
    """Of its line, from 0."""


@dataclass(frozen=True, slots=True)
class PlacedRecord:
    """A record of a workload of a native database."""

    workload: NativeWorkload
    record: TuningRecord


class NativeDatabase:
    """Adds workloads and records to the files of a folder, and keeps the workloads alone."""

    def __init__(self, folder: Path) -> None:
        """Open it, making or mending it. What cannot be read is told in the log. Raises OSError."""
        from tvm.s_tir.meta_schedule.database import JSONDatabase

        self._records = len(_checked(folder))
        self._writer = _LineWriter(folder / _SCRATCH)
        self._file, self._log = folder / WORKLOADS, LineLog(folder / RECORDS)
        with tempfile.TemporaryDirectory() as empty:
            no_records = str(Path(empty) / RECORDS)
            self._workloads = JSONDatabase(path_workload=str(self._file), path_tuning_record=no_records)
        self._by_hash: dict[str, int] = {}
        """Lines of the workloads, counted from 0, by their structural hashes."""
        self._lines = 0
        for line in lines_of(self._file):
            self._by_hash.setdefault(str(json.loads(line or "[0]")[0]), self._lines)
            self._lines += 1

    def __len__(self) -> int:
        return self._records

    def commit_workload(self, module: Any) -> NativeWorkload:
        """The workload of a module, added where it is new."""
        size = self._file.stat().st_size
        workload = self._workloads.commit_workload(module)
        structural_hash = str(workload.as_json()[0])
        if self._file.stat().st_size > size:
            self._by_hash[structural_hash] = self._lines
            self._lines += 1
        return NativeWorkload(workload, self._by_hash[structural_hash])

    def commit_record(self, placed: PlacedRecord) -> None:
        """Add a record. Raises OSError where the disk refuses."""
        check_whole(self._file)  # TVM does not look whether it could write
        line = self._writer.line_of(placed)
        self._log.append(_POSITION.sub(f"[{placed.workload.position},", line, count=1))
        self._records += 1

    def close(self) -> None:
        """Close the file of the records."""
        self._log.close()
        self._writer.close()


class _LineWriter:
    """Has MetaSchedule write records, for its objects know best how, into a database that is thrown away soon after."""

    def __init__(self, folder: Path) -> None:
        """folder: for that database; what a killed writer has left there goes."""
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        self._database: JSONDatabase | None = None
        self._workloads: set[int] = set()
        self._written = 0

    def line_of(self, placed: PlacedRecord) -> str:
        """The line of a record, of which the position of its workload is the scratch database's. Raises OSError."""
        if self._database is None or self._written == _THROWN_AWAY_AFTER:
            self._begin()
        assert self._database is not None
        if placed.workload.position not in self._workloads:
            self._database.commit_workload(placed.workload.workload.mod)
            self._workloads.add(placed.workload.position)
        path = Path(str(self._database.path_tuning_record))
        size = path.stat().st_size
        self._database.commit_tuning_record(placed.record)
        check_whole(path)
        self._written += 1
        with path.open("rb") as file:
            file.seek(size)
            return file.read().decode().rstrip("\n")

    def close(self) -> None:
        """Remove what is on the disk."""
        self._database = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        from tvm.s_tir.meta_schedule.database import JSONDatabase

        self.close()
        self._folder.mkdir()
        self._database = JSONDatabase(work_dir=str(self._folder))
        self._workloads, self._written = set(), 0


def _checked(folder: Path) -> JSONDatabase:
    from tvm.s_tir.meta_schedule.database import JSONDatabase

    for name in (WORKLOADS, RECORDS):
        cut_torn_line(folder / name)
    _mend(folder, lambda line: line if is_workload(line) else None, lambda _line, _workload: True)
    try:
        return JSONDatabase(work_dir=str(folder))
    except _REFUSALS:  # it does not say which line
        _mend(folder, _workload, _fits)
        return JSONDatabase(work_dir=str(folder))


def _mend(folder: Path, read: Callable[[str], Any], fits: Callable[[str, Any], bool]) -> None:
    """Replace what `read` does not take of the workloads, and what does not fit them of the records."""
    workloads = [None if line is None else read(line) for line in lines_of(folder / WORKLOADS)]
    records = list(lines_of(folder / RECORDS))
    unreadable = [number for number, workload in enumerate(workloads) if workload is None]
    lost = [number for number, line in enumerate(records) if line != NOTHING and not _is_whole(line, workloads, fits)]
    if unreadable:
        _replace(folder / WORKLOADS, {number: _blank_workload(number) for number in unreadable})
    elif lost and not workloads:
        append_line(folder / WORKLOADS, _blank_workload(0))
    if lost:
        _replace(folder / RECORDS, dict.fromkeys(lost, NOTHING))


def _is_whole(line: str | None, workloads: Sequence[Any], fits: Callable[[str, Any], bool]) -> bool:
    position = None if line is None else position_in(line)
    if line is None or position is None:
        return False
    return position < len(workloads) and workloads[position] is not None and fits(line, workloads[position])


def _workload(line: str) -> Any:
    from tvm.s_tir.meta_schedule.database import Workload

    try:
        return Workload.from_json(json.loads(line))
    except _REFUSALS:
        return None


def _fits(line: str, workload: Any) -> bool:
    from tvm.s_tir.meta_schedule.database import TuningRecord

    try:
        TuningRecord.from_json(json.loads(line)[1], workload)
    except _REFUSALS:
        return False
    return True


def _blank_workload(number: int) -> str:
    """For a line. No two are equal: TVM counts equal ones as one, and gives the next new workload a number too low."""
    import tvm
    from tvm.s_tir.meta_schedule.database import Workload

    return json.dumps(Workload(tvm.IRModule({}, attrs={"line": number})).as_json())


def _replace(path: Path, instead: Mapping[int, str]) -> None:
    """Put other lines in the place of some, by number, which are kept beside the file."""
    lines = path.read_bytes().split(b"\n")
    kept = path.with_name(f"{path.name}.damaged")
    with kept.open("ab") as file:
        file.writelines(lines[number] + b"\n" for number in instead)
    for number, line in instead.items():
        lines[number] = line.encode()
    write_bytes(path, b"\n".join(lines), is_synced=True)
    numbers = ", ".join(str(number + 1) for number in instead)
    log.warning("%s: line %s cannot be read: set aside in %s, the others count", path, numbers, kept.name)
