"""Opens the native database of a records folder, also where a disk has damaged its lines.

MetaSchedule takes a file whole or not at all, and dies of an empty line. Records and workloads are told by the numbers
of their lines, so a damaged line is not taken out: an empty record stands in its place, and the damaged bytes are kept
in a file beside.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.files.atomic import write_bytes
from sweep.files.line_log import append_line, cut_torn_line
from sweep.toolchain.native_log import NOTHING, RECORDS, WORKLOADS, is_workload, lines_of, position_in

if TYPE_CHECKING:
    from tvm.s_tir.meta_schedule.database import JSONDatabase

__all__ = ["open_database"]

_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError)
"""What TVM raises of a line that is damaged and still has its form."""

log = logging.getLogger(__name__)


def open_database(folder: Path) -> JSONDatabase:
    """Open it, making or mending it. What cannot be read is told in the log. Raises OSError."""
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
