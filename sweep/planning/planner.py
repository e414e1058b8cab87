"""Turns a grid into the smallest set of stages: cells that need the same work share it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sweep.errors import StudyError
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.order import by_information
from sweep.planning.sharing.shared_stages import SharedStages
from sweep.planning.stage import Plan, PlannedCell
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import Grid
from sweep.study.importers.importer_registry import own_runtime
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.spec import Study
from sweep.suggestions import hint, listed

__all__ = ["make_plan"]

_MANY = 20_000
"""New objects of a plan that the collector is not to look at once more: that took a third of the time."""


def make_plan(study: Study, cluster: Cluster) -> Plan:
    """All the work of a study on a cluster.

    Inputs come before what takes them, and the most informative cells before the rest (`sweep.planning.order`).
    Raises StudyError when the study does not go with the cluster.
    """
    _check_simulated(cluster)
    with _uncollected():
        return _make_plan(study, cluster)


def _make_plan(study: Study, cluster: Cluster) -> Plan:
    grid = Grid(study, cluster)
    chosen = list(grid.cells())
    shared = SharedStages(study, cluster)
    planned: list[PlannedCell | None] = [None] * len(chosen)
    for index in by_information(study, chosen):
        refusal = grid.refusals.of(chosen[index])
        cell = shared.of(chosen[index]) if refusal is None else PlannedCell(chosen[index], (), refusal=refusal)
        if study.tags.rules and (tags := study.tags.own(cell.cell)):
            cell = replace(cell, tags=tags)
        planned[index] = cell
    shared.complete()
    naive = shared.naive()
    return Plan(
        study_name=study.name,
        cells=[cell for cell in planned if cell is not None],
        stages=shared.by_id,
        naive={kind: naive[kind] for kind in STAGE_KINDS.names() if naive[kind]},
        left_out=grid.left_out(),
        baseline=study.baseline,
        tags=study.tags.study,
        baselines=_baselines(study, [cell for cell in planned if cell is not None]),
        objective=study.objective,
        described=study.described,
        originals={model.name: model.original for model in study.models if model.original is not None},
    )


def _baselines(study: Study, planned: Sequence[PlannedCell]) -> Mapping[str, str]:
    """By model that the study's baseline takes nowhere: what runs its file as it is, else the first that takes it."""
    taking: dict[str, dict[str, None]] = {}
    for one in planned:
        if not one.refusal and not one.cell.is_compiled:
            taking.setdefault(one.cell.model, {})[one.cell.runtime] = None
    refused = {one.cell.model for one in planned if one.refusal and one.cell.runtime == study.baseline}
    found = {}
    for model in study.models:
        others = taking.get(model.name, {})
        if model.name in refused and others and study.baseline not in others:
            own = own_runtime(model.importer)
            found[model.name] = own if own in others else next(name for name in study.runtimes if name in others)
    return found


@tells_lines
def _check_simulated(cluster: Cluster) -> None:
    """Raises StudyError where the cluster file gives seconds to a kind of stage that there is not."""
    for name, seconds in cluster.simulate.stage_s.items():
        if name not in STAGE_KINDS:
            names = STAGE_KINDS.names()
            problem, key = f"is no kind of stage{hint(name, names)}", f"simulate.stage_s.{name}"
            raise StudyError(problem, file=cluster.path, key=key, value=seconds, allowed=listed(names))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Of a plan's objects none is garbage: to look at all of them again and again took a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY:
            gc.freeze()
        if was_enabled:
            gc.enable()
