"""Turns a grid into the smallest set of stages: cells that need the same work share it."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.planning.order import by_information
from sweep.planning.shared_stages import SharedStages
from sweep.planning.stage import KINDS, Plan, PlannedCell
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import cells, left_out
from sweep.study.spec import Study

__all__ = ["make_plan"]


def make_plan(study: Study, cluster: Cluster) -> Plan:
    """All the work of a study on a cluster.

    Inputs come before what takes them, and the most informative cells before the rest (`sweep.planning.order`).
    Raises StudyError when the study does not go with the cluster.
    """
    with _uncollected():
        return _make_plan(study, cluster)


def _make_plan(study: Study, cluster: Cluster) -> Plan:
    grid = list(cells(study, cluster))
    shared = SharedStages(study, cluster)
    planned: list[PlannedCell | None] = [None] * len(grid)
    naive: Counter[str] = Counter()
    for index in by_information(study, grid):
        stages = shared.of(grid[index])
        planned[index] = PlannedCell(grid[index], stages)
        naive.update(shared.by_id[stage].kind for stage in stages)
    return Plan(
        study_name=study.name,
        cells=[cell for cell in planned if cell is not None],
        stages=shared.by_id,
        naive={kind: naive[kind] for kind in KINDS if naive[kind]},
        left_out=left_out(study, cluster),
        baseline=study.baseline,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Of a plan's objects none is garbage: to look at all of them again and again took a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
