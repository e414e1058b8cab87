"""A tuner: strategy, cost model and records of one full target on one device, kept for as long as the sweep runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import TuneFailed
from sweep.toolchain.tuning.job import Laboratory, TuneJob, TuningTask
from sweep.toolchain.tuning.records import SCRATCH_PREFIX, RecordStore
from sweep.toolchain.tuning.search import Search
from sweep.toolchain.tuning.session import Session, last_line
from sweep.toolchain.tuning.strategies import Strategy, seed_of, strategy_of

__all__ = ["Tuner"]


class Tuner:
    """One tuner for one full target and device. Long-lived: its database and cost model serve all its tune stages."""

    def __init__(
        self, name: str, options: Mapping[str, Any], target: Mapping[str, Any], folder: Path, seed: int
    ) -> None:
        """`folder` is the records folder, which this tuner alone writes."""
        from sweep.toolchain.tvm_loader import resolve_target, target_json

        self._target = resolve_target(dict(target))
        self.target_json = target_json(self._target)
        self._strategy: Strategy = strategy_of(name, options)
        self._cost_model = self._strategy.make_cost_model(seed_of(seed, name, "cost model"))
        self.store = RecordStore(folder)

    def tune(self, job: TuneJob, laboratory: Laboratory, report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """Give every task of the job its trials, less those it already has.

        Raises:
            DeviceLost: the device was away for several candidates in a row.
            TuneFailed: a task could not be read or searched.
        """
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=self.store.folder))
        try:
            return Session(self, job, laboratory, report, scratch).run()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def search_for(self, task: TuningTask, wanted: int, seed: int) -> Search:
        """A search for one task.

        Raises:
            TuneFailed: MetaSchedule does not take the workload.
        """
        import tvm

        try:
            module = tvm.ir.load_json(task.module.read_text(encoding="utf-8"))
            return Search(
                task.name,
                task.workload,
                module,
                target=self._target,
                strategy=self._strategy,
                cost_model=self._cost_model,
                store=self.store,
                wanted=wanted,
                seed=seed,
            )
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise TuneFailed(f"{task.name}: no search is possible: {last_line(error)}") from error
