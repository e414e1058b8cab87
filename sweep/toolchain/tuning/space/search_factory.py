"""Begins the searches of one tuner: one for each workload, with what this sweep and others know of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import TuneFailed, last_line
from sweep.search.strategy import SearchStrategy
from sweep.toolchain.tuning.designs.loop_nest import flops_of, traffic_of
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.space.warm_start import WarmStart
from sweep.toolchain.tuning.space.workload_search import WorkloadSearch
from sweep.toolchain.winograd.program import convolution_in
from sweep.toolchain.winograd.winograd_form import FORMS

if TYPE_CHECKING:
    from tvm.target import Target

__all__ = ["SearchFactory"]


class SearchFactory:
    """Makes `WorkloadSearch`es that share one strategy, with its cost model, and one store of records."""

    def __init__(self, strategy: SearchStrategy, target: Target, store: RecordStore) -> None:
        self._strategy, self._target, self._store = strategy, target, store
        self._warm_start: WarmStart | None = None

    def search_for(self, task: TuningTask, warm_start: Sequence[Path] = ()) -> WorkloadSearch:
        """A search for one task. `warm_start`: records folders of other sweeps; those of the first call that has some
        serve for all.

        Raises:
            TuneFailed: its designs cannot be made, for whatever reason.
        """
        try:
            search = WorkloadSearch(
                task.name,
                task.workload,
                _module_of(task),
                target=self._target,
                tuner=self._strategy,
                store=self._store,
            )
        except Exception as error:  # a program that neither TVM's rules nor this package's own foresaw
            raise _not_possible(task, error) from error
        if warm_start:
            if self._warm_start is None:
                self._warm_start = WarmStart(warm_start)
            self._warm_start.apply(search)
        return search

    def work_of(self, task: TuningTask) -> tuple[float, float]:
        """Floating-point operations of one call, and bytes of its tensors.

        Of a convolution that has forms with fewer products, those of the form with the fewest: so a task that a form
        has served is as near to the device's most operations a second as one that has none.

        Raises:
            TuneFailed: the task cannot be read.
        """
        try:
            module = _module_of(task)
            return flops_of(module) * _least_share(module), traffic_of(module)
        except Exception as error:
            raise _not_possible(task, error) from error

    def trials_elsewhere(self, workload: str) -> int | None:
        """What a sweep that a warm start comes from needed to come near its best; None where none knew the workload."""
        return None if self._warm_start is None else self._warm_start.trials_to_near.get(workload)


def _least_share(module: Any) -> float:
    """Of a program's products, those that it needs in the form that has the fewest."""
    convolution = convolution_in(module["main"])
    shares = [] if convolution is None else [convolution.share_of(form) for form in FORMS if convolution.gains_by(form)]
    return min(shares, default=1.0)


def _module_of(task: TuningTask) -> Any:
    import tvm

    return tvm.ir.load_json(task.module.read_text(encoding="utf-8"))


def _not_possible(task: TuningTask, error: Exception) -> TuneFailed:
    return TuneFailed(f"{task.name}: no search is possible: {last_line(error)}")
