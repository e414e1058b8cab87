"""Chooses the best tuning record of every workload from a native MetaSchedule database, which may still grow.

MetaSchedule ranks by the mean ([1, 1, 9] ms loses to [2, 2, 2] ms) and refuses a file with a torn line. So the files
are read as text, the record that won the workload's re-validation, or else the one with the least median, is copied to
a scratch folder, and MetaSchedule loads that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed, in_one_line
from sweep.toolchain.native_log import NativeRecord, read_log, write_log
from sweep.toolchain.tuning.records.trial_logs import read_validations
from sweep.toolchain.tvm_loader import load_tvm
from sweep.toolchain.workload_id import native_workload_id

__all__ = ["BestRecords"]

_CHOSEN_S = -1.0
"""Sorts the winner of a re-validation before every time that was measured once."""


class BestRecords:
    """A scratch database with one record a workload, and the workloads that have one."""

    def __init__(
        self,
        records_dir: Path | None,
        scratch: Path,
        identify: Callable[[str], str | None] = native_workload_id,
    ) -> None:
        """Choose.

        records_dir: the database to choose from, or None for none.
        scratch: an empty folder for the copy.
        identify: from a line of the workload file to its id; None where it cannot be read.
        """
        self._scratch = scratch
        self._identify = identify
        self._chosen: list[tuple[str, NativeRecord]] = []
        """With the id of its workload."""
        if records_dir is not None:
            self._choose(records_dir)

    def has(self, workload: str) -> bool:
        """Whether a valid record is there; an empty trace counts, since an untouched schedule may be the best."""
        return any(workload == name for name, _ in self._chosen)

    def apply(self, module: Any, target: Any) -> Any:
        """The module with its tuned functions scheduled. Raises BuildFailed.

        A record that does not fit (a query ignores block names, which traces refer to) is left out, and its workload
        counts as having none.
        """
        if not self._chosen:
            return module
        try:
            return self._applied(module, target, self._chosen)
        except Exception:  # noqa: BLE001  (one of them did not fit: find it below)
            self._chosen = [one for one in self._chosen if self._fits(module, target, one)]
        try:
            return self._applied(module, target, self._chosen)
        except Exception as error:
            raise BuildFailed(f"tuning records cannot be applied: {in_one_line(error)}") from error

    def _fits(self, module: Any, target: Any, one: tuple[str, NativeRecord]) -> bool:
        try:
            self._applied(module, target, [one])
        except Exception:  # noqa: BLE001  (any refusal is one)
            return False
        return True

    def _applied(self, module: Any, target: Any, chosen: Iterable[tuple[str, NativeRecord]]) -> Any:
        tvm = load_tvm(())
        database = importlib.import_module("tvm.s_tir.meta_schedule.database")
        write_log([record for _, record in chosen], self._scratch)
        with target, database.JSONDatabase(work_dir=str(self._scratch)), tvm.transform.PassContext(opt_level=3):
            return tvm.relax.transform.MetaScheduleApplyDatabase()(module)

    def _choose(self, records_dir: Path) -> None:
        best: dict[str, tuple[float, NativeRecord]] = {}
        winners = {validation.workload: validation.winner for validation in read_validations(records_dir)}
        chosen = set(winners.values())
        for number, record in read_log(records_dir):
            median_s = record.median_s
            if median_s is None:
                continue
            rank = _CHOSEN_S if number in chosen else median_s
            if record.workload not in best or rank < best[record.workload][0]:
                best[record.workload] = (rank, record)
        named = [(self._identify(workload), record) for workload, (_, record) in best.items()]
        self._chosen = [(name, record) for name, record in named if name is not None]
        write_log([record for _, record in self._chosen], self._scratch)
