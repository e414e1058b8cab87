"""Relatives: workloads of one family in a pool try what one of them has found before they search themselves.

They differ in what surrounds the block that does the work, such as the bias and activation that one opt level fuses and
another does not. Where the trials of a task are limited, one of them, the leader, gets them all, and the rest a few.
"""

from __future__ import annotations

from collections.abc import Callable

from sweep.search.allocation import TaskProgress
from sweep.search.point_transfer import translated
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.pool.budget import TuningBudget
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.space.workload_search import WorkloadSearch

__all__ = ["Relatives"]


class Relatives:
    """The families of one pool."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._families: dict[str, list[TaskProgress]] = {}
        """By family; the leader first."""
        self._family_of: dict[str, str] = {}
        self._passed_on: set[tuple[str, str]] = set()
        """(workload, trace of a relative that it was given)."""

    def join(self, task: TuningTask, progress: TaskProgress, budget: TuningBudget) -> None:
        """A task that has just come follows the first of its family; one that was tuned before leads it instead."""
        self._family_of[task.workload] = task.family
        family = self._families.setdefault(task.family, [])
        first = family[0] if family else None
        is_ahead = first is None or (progress.trials > 0 and not first.trials + first.in_flight)
        family.insert(0 if is_ahead else len(family), progress)
        leader, *others = family
        for one in others:
            one.follow(leader, budget.led_limit_of(task))

    def seed(self, search: WorkloadSearch, search_of: Callable[[str], WorkloadSearch | None]) -> None:
        """Give a search the best that each of its relatives has found, if it was not given that before."""
        for relative in self._families.get(self._family_of.get(search.workload, ""), ()):
            best = self._store.of(relative.workload).best[:1]
            if relative.workload == search.workload or not best:
                continue
            key = (search.workload, best[0].trace_hash)
            if key in self._passed_on:
                continue
            self._passed_on.add(key)
            source = search_of(relative.workload)
            found = None if source is None else source.point_of(best[0].design, best[0].decisions)
            if source is None or found is None:
                continue
            point = translated(found, source.designs.space, search.designs.space)
            if point is not None:
                search.seed([point], "relative")

    def forget(self) -> None:
        """Nobody is left in the pool."""
        self._families.clear()
        self._family_of.clear()
        self._passed_on.clear()
