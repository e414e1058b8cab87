"""The observer that passes a run's events on to the progress view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from sweep.analysis.rows.column import CellFacts
from sweep.planning.kinds import STAGE_KINDS, place_of
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.planning.summary import left_out_lines
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.sweep_outcome import cell_outcome

if TYPE_CHECKING:
    from sweep.report.live.progress_view import ProgressView

__all__ = ["ProgressObserver"]


class ProgressObserver:
    """Passes what happens in a run on to the progress view."""

    def __init__(self, view: ProgressView, plan: Plan, ledger: Ledger, usable: Container[str] | None = None) -> None:
        """usable: ids of the stages that this run will not do again; None: all that are done."""
        self._view, self._plan, self._ledger = view, plan, ledger
        self._pools = _pool_names(plan)
        done = ledger.state.done if usable is None else usable
        kinds = Counter(stage.kind for stage in plan.stages.values() if stage.id not in done)
        view.plan_ready(plan.cells_with_work, {kind: kinds[kind] for kind in STAGE_KINDS.names() if kinds[kind]})
        for line in left_out_lines(plan.left_out):  # now, and not after hours in which nothing was compared with it
            view.tell(line)

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        self._view.attempt_started(stage.label, stage.kind, pool=self._pools.get(stage.id, ""))

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        self._view.stage_done(stage.label, stage.kind, seconds)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        self._view.attempt_failed(stage.label, stage.kind, error_class, error, will_retry)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        self._view.progress({**info, "label": stage.label})

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        outcome = cell_outcome(self._plan, self._plan.cells[cell], self._ledger.state)
        reason = (
            f"{outcome.failed_stage}: {outcome.error_class}: {outcome.error}" if outcome.error_class else outcome.error
        )
        status = "skipped" if outcome.status == "pending" else outcome.status
        measurement = outcome.result(Measurement)
        self._view.cell_finished(
            outcome.cell.name,
            status,
            None if measurement is None else measurement.median_s,
            reason or "the run is ending",
            group=f"{outcome.cell.model} on {outcome.cell.device}",
            from_earlier_run=from_earlier_run,
            reading=CellFacts.of(outcome).reading,
        )

    def tick(self, now: float) -> None:
        self._view.tick(now)


def _pool_names(plan: Plan) -> dict[str, str]:
    """`xgb on local-1 for native`, by tune stage; stages that tune together, by their `tuner_key`, have one name."""
    names: dict[str, str] = {}
    by_stage: dict[str, str] = {}
    for planned in plan.cells:
        for stage in (plan.stages[stage_id] for stage_id in planned.stages):
            if place_of(stage) is Place.TUNER:
                cell = planned.cell
                name = f"{cell.tuner} on {cell.device} for {cell.target}"
                by_stage[stage.id] = names.setdefault(str(stage.hints.get("tuner_key", name)), name)
    return by_stage
