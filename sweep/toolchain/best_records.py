"""The best tuning record of every workload, chosen from a native MetaSchedule database that another process may be
writing.

MetaSchedule ranks by the mean ([1, 1, 9] ms loses to [2, 2, 2] ms) and refuses a file with a torn last line. So the
files are read as text, the record that won the workload's re-validation, or else the one with the least median, is
copied to a scratch folder, and MetaSchedule loads that.
"""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed
from sweep.toolchain.tuning.records import read_validations
from sweep.toolchain.tvm_loader import load_tvm
from sweep.toolchain.workload_id import workload_id

__all__ = ["BestRecords"]

_WORKLOADS, _RECORDS = "database_workload.json", "database_tuning_record.json"
_SENTINEL_S = 1e9
"""MetaSchedule stores a failed candidate as 1e10 seconds."""
_CHOSEN_S = -1.0
"""Sorts the winner of a re-validation before every time that was measured once."""


class BestRecords:
    """A scratch database with one record a workload, and the workloads that have one."""

    def __init__(
        self,
        records_dir: Path | None,
        scratch: Path,
        identify: Callable[[list[str]], Iterable[str]] | None = None,
    ) -> None:
        """Choose.

        records_dir: the database to choose from, or None for none.
        scratch: an empty folder for the copy.
        identify: from lines of the workload file to workload ids.
        """
        self._scratch = scratch
        self._identify = identify or _ids
        self._lines: dict[int, str] = {}
        self._workloads: dict[int, str] = {}
        if records_dir is not None:
            self._choose(records_dir)

    def has(self, workload: str) -> bool:
        """Whether a valid record is there; an empty trace counts, since an untouched schedule may be the best."""
        return workload in self._workloads.values()

    def apply(self, module: Any, target: Any) -> Any:
        """The module with its tuned functions scheduled. Raises BuildFailed.

        A record that does not fit (a query ignores block names, which traces refer to) is left out, and its workload
        counts as having none.
        """
        if not self._lines:
            return module
        try:
            return self._applied(module, target, list(self._lines.values()))
        except Exception:  # noqa: BLE001  (one of them did not fit: find it below)
            fitting = {index: line for index, line in self._lines.items() if self._fits(module, target, line)}
        self._lines = fitting
        self._workloads = {index: name for index, name in self._workloads.items() if index in fitting}
        try:
            return self._applied(module, target, list(fitting.values()))
        except Exception as error:
            raise BuildFailed(f"tuning records cannot be applied: {' '.join(str(error).split())[:400]}") from error

    def _fits(self, module: Any, target: Any, line: str) -> bool:
        try:
            self._applied(module, target, [line])
        except Exception:  # noqa: BLE001  (any refusal is one)
            return False
        return True

    def _applied(self, module: Any, target: Any, lines: list[str]) -> Any:
        tvm = load_tvm(())
        database = importlib.import_module("tvm.s_tir.meta_schedule.database")
        self._write_records(lines)
        with target, database.JSONDatabase(work_dir=str(self._scratch)), tvm.transform.PassContext(opt_level=3):
            return tvm.relax.transform.MetaScheduleApplyDatabase()(module)

    def _write_records(self, lines: list[str]) -> None:
        (self._scratch / _RECORDS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _choose(self, records_dir: Path) -> None:
        # Records refer to workloads by position: what follows a torn line would be taken for another.
        workloads = [line for line in takewhile(bool, _lines(records_dir / _WORKLOADS)) if line]
        best: dict[int, tuple[float, str]] = {}
        winners = {validation.workload: validation.winner for validation in read_validations(records_dir)}
        chosen = set(winners.values())
        for number, line in enumerate(_lines(records_dir / _RECORDS)):
            if line is None:
                continue
            index, (_, run_secs, *_rest) = json.loads(line)
            median_s = _CHOSEN_S if number in chosen else _median_s(run_secs)
            if (
                median_s is not None
                and 0 <= index < len(workloads)
                and median_s < best.get(index, (_SENTINEL_S, ""))[0]
            ):
                best[index] = (median_s, line)
        (self._scratch / _WORKLOADS).write_text("".join(f"{line}\n" for line in workloads), encoding="utf-8")
        self._lines = {index: best[index][1] for index in sorted(best)}
        self._write_records(list(self._lines.values()))
        ids = self._identify([workloads[index] for index in self._lines])
        self._workloads = dict(zip(self._lines, ids, strict=True))


def _ids(lines: list[str]) -> Iterator[str]:
    load_tvm(())
    from tvm.s_tir.meta_schedule.database import Workload

    for line in lines:
        yield workload_id(Workload.from_json(json.loads(line)).mod)


def _lines(path: Path) -> Iterator[str | None]:
    """The lines of a file that may be growing; None for a torn one."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            yield line.rstrip("\n") if line.endswith("\n") and _is_json(line) else None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _median_s(run_secs: Any) -> float | None:
    values = [float(value) for value in run_secs or ()]
    valid = values and all(0 < value < _SENTINEL_S for value in values)
    return statistics.median(values) if valid else None
