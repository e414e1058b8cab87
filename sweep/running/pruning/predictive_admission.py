"""An admission that learns: cells that cannot be the best any more are skipped, the most promising ones come first.

A sample of the cells that it would skip is measured all the same (`sweep.predict.cells.pruning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sweep.analysis.formatting import as_ms
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan
from sweep.running.admission import SettledCell, Verdict
from sweep.running.events import AuditCell, PreferCells, SkipCell, StageState
from sweep.study.axes import axis_names, compared_within
from sweep.study.cell_values import values_on
from sweep.study.planner_options import PlannerOptions
from sweep.study.spec import Cell

if TYPE_CHECKING:
    from sweep.predict.cells.cell_model import Point
    from sweep.predict.cells.pruning import Outlook, Prediction, Pruner

__all__ = ["PredictiveAdmission", "point_of"]

_EXPLORED = 2
"""Cells that are chosen to be explored, in units of those that a model needs at least: it may say nothing at first."""


class PredictiveAdmission:
    """Told of each measured cell, says which others are not worth it."""

    def __init__(
        self,
        plan: Plan,
        options: PlannerOptions,
        *,
        earlier: Mapping[str, StageResult],
        known: Iterable[tuple[Point, float]] = (),
        seed: int = 0,
        may_be_best: Callable[[int, Mapping[str, StageResult]], bool] | None = None,
    ) -> None:
        """Prepare for one run.

        plan: the cells of the run, which are all that may be skipped.
        earlier: results of stages that earlier runs have done, by stage id.
        known: cells of other sweeps with their seconds, to begin with.
        seed: of the order in which cells are explored before anything is predicted.
        may_be_best: whether a measured cell, by its index and the results that its goals had now, keeps the limits of
            the study; by default every one does. No cell is skipped because one that does not is faster.
        """
        self._may_be_best = may_be_best or (lambda index, results: True)
        self._plan = plan
        self._pruner = _pruner_of(plan, options, known)
        self._order: Sequence[int] | None = _exploring(plan, self._pruner.fewest, seed)
        for index, planned in enumerate(plan.cells):
            for goal in planned.goals:
                if isinstance(result := earlier.get(goal), Measurement):
                    self._observe(index, result, {})

    def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
        """A cell is settled: which others need not be measured, and which come first from now on."""
        measurement = next((one for one in cell.results.values() if isinstance(one, Measurement)), None)
        if cell.state is StageState.DONE and measurement is not None:
            self._observe(index, measurement, cell.results)
        else:
            self._pruner.observe(index, None)
        outlook = self._pruner.look()
        if outlook is not None:
            self._order = None
            return _verdicts(outlook)
        order, self._order = self._order, None
        return [] if order is None else [PreferCells(order)]

    def _observe(self, index: int, measurement: Measurement, results: Mapping[str, StageResult]) -> None:
        """A disturbed measurement is no example to learn from."""
        from sweep.analysis.statistics import summarise

        if measurement.tainted or not measurement.run_secs:
            self._pruner.observe(index, None)
            return
        summary = summarise(measurement.run_secs)
        may_be_best = self._may_be_best(index, results)
        self._pruner.observe(index, summary.median, summary.ci_high or summary.max, may_be_best=may_be_best)


def point_of(cell: Cell) -> Point:
    """A cell as the values of its axes."""
    return {axis: str(cell.value(axis)) for axis in axis_names()}


def _pruner_of(plan: Plan, options: PlannerOptions, known: Iterable[tuple[Point, float]]) -> Pruner:
    from sweep.predict.cells.pruning import Candidate, Pruner, PruningRules

    group = values_on(compared_within())
    candidates = [
        Candidate(planned.cell.id, point_of(planned.cell), group(planned.cell), may_be_skipped=planned.cell.is_compiled)
        for planned in plan.cells
    ]
    return Pruner(candidates, PruningRules(options.prune, options.audit), known)


def _exploring(plan: Plan, fewest: int, seed: int) -> Sequence[int]:
    """Other runtimes first, as planned, then compiled cells that show the most of each other.

    An order that follows the grid shows one tuner long before another, and nothing is learnt of their difference.
    """
    from sweep.predict.cells.exploring import balanced_order

    place = {stage: number for number, stage in enumerate(plan.stages)}
    taken = [index for index, planned in enumerate(plan.cells) if planned.goals]  # the others are refused
    others = [index for index in taken if not plan.cells[index].cell.is_compiled]
    others.sort(key=lambda index: place[plan.cells[index].goals[0]])
    compiled = [index for index in taken if plan.cells[index].cell.is_compiled]
    group = values_on(compared_within())
    groups = [group(plan.cells[index].cell) for index in compiled]
    most = _EXPLORED * max(fewest, len(set(groups)))
    order = balanced_order([point_of(plan.cells[index].cell) for index in compiled], groups, most, seed)
    return [*others, *(compiled[index] for index in order)]


def _verdicts(outlook: Outlook) -> list[Verdict]:
    hopeless = {prediction.index for prediction in outlook.hopeless if not prediction.is_audited}
    promising = [index for index in outlook.promising if index not in hopeless]
    return [*map(_verdict, outlook.hopeless), PreferCells(promising)]


def _verdict(prediction: Prediction) -> Verdict:
    predicted = PredictedLatency(prediction.low_s, prediction.high_s, prediction.best_s, prediction.is_audited)
    if prediction.is_audited:
        return AuditCell(prediction.index, predicted)
    low, high, best = (as_ms(seconds * 1e3) for seconds in (predicted.low_s, predicted.high_s, predicted.best_s))
    told = f"predicted to take {low} to {high} ms, where {best} ms was measured"
    reason = f"{told}: not faster by more than 2 %, with 99 %"
    return SkipCell(prediction.index, reason, predicted)
