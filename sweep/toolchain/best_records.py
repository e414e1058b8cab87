"""Chooses the best tuning record of every workload from a native MetaSchedule database, which may still grow.

MetaSchedule ranks by the mean ([1, 1, 9] ms loses to [2, 2, 2] ms) and refuses a file with a torn line. So the files
are read as text, the record that won the workload's re-validation, or else the one with the least median, is copied to
a scratch folder, and MetaSchedule loads that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import BuildFailed, in_one_line
from sweep.toolchain.native_log import NativeRecord, read_log, write_log
from sweep.toolchain.tuning.records.trial_logs import read_validations
from sweep.toolchain.tvm_loader import load_tvm
from sweep.toolchain.winograd.program import MADE, PRODUCTS
from sweep.toolchain.workload_id import names_block, native_workload_id

if TYPE_CHECKING:
    from sweep.toolchain.winograd.choice import FormChoice

__all__ = ["BestRecords", "Tuned"]

_CHOSEN_S = -1.0
"""Sorts the winner of a re-validation before every time that was measured once."""
_SCHEDULED = "tirx.is_scheduled"


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The best record of a workload."""

    workload: str
    """Its id."""
    rank_s: float
    """Its median, or less."""
    record: NativeRecord


@dataclass(frozen=True, slots=True)
class Tuned:
    """A module with its tuned functions scheduled."""

    module: Any
    before: Any
    """The same with none scheduled."""


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
        self._chosen: list[_Chosen] = []
        self._by_forms: frozenset[str] = frozenset()
        """Workloads whose best record is of a program by one of Winograd's forms."""
        if records_dir is not None:
            self._choose(records_dir)

    def has(self, workload: str) -> bool:
        """Whether a valid record is there; an empty trace counts, since an untouched schedule may be the best."""
        return workload in self._by_forms or any(workload == one.workload for one in self._chosen)

    def apply(self, module: Any, target: Any, level: int = 0) -> Tuned:
        """The lowered module of an opt level with its tuned functions scheduled, convolutions by Winograd's forms where
        these are chosen. Raises BuildFailed.

        A record that does not fit (a query ignores block names, which traces refer to) is left out, and its workload
        counts as having none.
        """
        from sweep.toolchain.winograd.choice import FormChoice

        if not self._chosen:
            return Tuned(module, module)
        has_forms = any(names_block(one.record.workload, PRODUCTS) for one in self._chosen)
        forms = FormChoice(module, level if has_forms else 0)
        try:
            return self._applied(forms, target, self._chosen)
        except Exception:  # noqa: BLE001  (one of them did not fit: find it below)
            self._chosen = [one for one in self._chosen if self._fits(forms, target, one)]
        try:
            return self._applied(forms, target, self._chosen)
        except Exception as error:
            raise BuildFailed(f"tuning records cannot be applied: {in_one_line(error)}") from error

    def _fits(self, forms: FormChoice, target: Any, one: _Chosen) -> bool:
        try:
            self._applied(forms, target, [one])
        except Exception:  # noqa: BLE001  (any refusal is one)
            return False
        return True

    def _applied(self, forms: FormChoice, target: Any, chosen: Sequence[_Chosen]) -> Tuned:
        tvm = load_tvm(())
        database = importlib.import_module("tvm.s_tir.meta_schedule.database")
        formed = forms.chosen({one.workload: one.rank_s for one in chosen}.get)
        write_log([one.record for one in chosen], self._scratch)
        with target, database.JSONDatabase(work_dir=str(self._scratch)), tvm.transform.PassContext(opt_level=3):
            tuned = tvm.relax.transform.MetaScheduleApplyDatabase()(formed.module)
        for name, function in tuned.functions_items() if formed.workloads else ():
            if MADE in name.name_hint and not (function.attrs or {}).get(_SCHEDULED):
                raise BuildFailed(f"the record of {name.name_hint} does not fit it")
        self._by_forms = formed.workloads
        return Tuned(tuned, formed.module)

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
        named = [(self._identify(workload), *ranked) for workload, ranked in best.items()]
        self._chosen = [_Chosen(name, rank, record) for name, rank, record in named if name is not None]
        write_log([one.record for one in self._chosen], self._scratch)
