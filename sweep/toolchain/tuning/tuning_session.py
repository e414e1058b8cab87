"""A tuner: search, cost model and records of one full target on one device, kept for as long as the sweep runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import TuneFailed
from sweep.search.catalogue import make_tuner
from sweep.toolchain.tuning.job import CandidateService, TuneJob, TuningTask
from sweep.toolchain.tuning.pool.pipeline import last_line
from sweep.toolchain.tuning.pool.pool import Pool
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.warm_start import WarmStart
from sweep.toolchain.tuning.space.loop_nest import flops_of
from sweep.toolchain.tuning.space.workload_search import WorkloadSearch

__all__ = ["TuningSession"]


class TuningSession:
    """One tuner for one full target and device. Long-lived: its records and cost model serve all its tune stages."""

    def __init__(
        self, name: str, options: Mapping[str, Any], target: Mapping[str, Any], folder: Path, seed: int
    ) -> None:
        """`folder` is the records folder, which this tuner alone writes. Raises TuneFailed: no such tuner."""
        from sweep.toolchain.tvm_loader import resolve_target, target_json

        self._target = resolve_target(dict(target))
        self.target_json = target_json(self._target)
        self._tuner = make_tuner(name, options, seed)
        self.store = RecordStore(folder)
        self._warm_start: WarmStart | None = None
        self._pool: Pool | None = None
        self._lock = threading.Lock()

    def tune(
        self, job: TuneJob, laboratory: CandidateService, report: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Give every task of the job its trials, less those it already has, along with whoever else asks meanwhile.

        Raises:
            DeviceLost: the device was away for several candidates in a row.
            TuneFailed: a task could not be read or searched.
        """
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self)
        return self._pool.join(job, laboratory, report)

    def close(self) -> None:
        """Remove the candidates' libraries and close the records."""
        if self._pool is not None:
            self._pool.close()
        self.store.close()

    def flops_of(self, task: TuningTask) -> float:
        """Floating-point operations of one call.

        Raises:
            TuneFailed: the task cannot be read.
        """
        try:
            return flops_of(_module_of(task))
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise TuneFailed(f"{task.name}: no search is possible: {last_line(error)}") from error

    def trials_elsewhere(self, workload: str) -> int | None:
        """What a sweep that a warm start comes from needed to come near its best; None where none knew the workload."""
        return None if self._warm_start is None else self._warm_start.trials_to_near.get(workload)

    def search_for(self, task: TuningTask, job: TuneJob) -> WorkloadSearch:
        """A search for one task.

        Raises:
            TuneFailed: MetaSchedule does not take the workload.
        """
        try:
            search = WorkloadSearch(
                task.name, task.workload, _module_of(task), target=self._target, tuner=self._tuner, store=self.store
            )
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise TuneFailed(f"{task.name}: no search is possible: {last_line(error)}") from error
        if job.warm_start:
            if self._warm_start is None:
                self._warm_start = WarmStart(job.warm_start)
            self._warm_start.apply(search)
        return search


def _module_of(task: TuningTask) -> Any:
    import tvm

    return tvm.ir.load_json(task.module.read_text(encoding="utf-8"))
