"""Makes the outcome of a sweep from its plan and its ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from sweep.analysis.outcome import CellOutcome, CellStatus, SweepOutcome
from sweep.planning.results import StageResult
from sweep.planning.stage import Plan, PlannedCell
from sweep.running.ledger.state import LedgerState
from sweep.study.selection import parse_selection

__all__ = ["cell_outcome", "sweep_outcome"]


def cell_outcome(plan: Plan, planned: PlannedCell, state: LedgerState) -> CellOutcome:
    """One cell as the ledger has it.

    A cell whose stage failed for good is `failed`, by the first such stage in its own order; one that lacks stages is
    `pending`, or `skipped` where the last run was for it and has stopped before it; one whose measurement stayed
    disturbed is `tainted`.
    """
    results: dict[str, StageResult] = {}
    seconds: dict[str, float] = {}
    attempts = 0
    status: CellStatus = "done"
    failed = None
    for stage_id in planned.stages:
        kind = plan.stages[stage_id].kind
        attempts += state.attempts_of(stage_id)
        finished = state.done.get(stage_id)
        if finished is not None:
            results[kind] = finished.result
            seconds[kind] = finished.seconds
        elif stage_id in state.failed and failed is None:
            failed = state.failed[stage_id]
            status = "failed"
        elif status == "done":
            status = "pending"
    if plan.stages[planned.stages[-1]].kind in results:
        status, failed = "done", None  # what is measured stays measured, also when something before it is missing now
    reasons = [reason for result in results.values() for reason in result.disturbances]
    if reasons and status == "done":
        status = "tainted"
    if status == "pending" and state.stopped is not None and _was_asked_for(planned, state):
        status, reasons = "skipped", [state.stopped]
    return CellOutcome(
        cell=planned.cell,
        status=status,
        error_class=failed.error_class if failed else None,
        error=failed.error if failed else "; ".join(reasons) or None,
        failed_stage=failed.kind if failed else None,
        stages=results,
        stage_seconds=seconds,
        attempts=attempts,
    )


def sweep_outcome(plan: Plan, question: str, state: LedgerState, sweep_dir: Path) -> SweepOutcome:
    """The whole sweep as the ledger has it. `question`: the study's."""
    return SweepOutcome(
        study=plan.study_name,
        question=question,
        cells=[cell_outcome(plan, planned, state) for planned in plan.cells],
        started_t=state.first_t or 0.0,
        ended_t=max(state.first_t or 0.0, state.last_t or 0.0),  # a clock may have been set back
        interrupted=state.last_status == "interrupted",
        stage_counts=_stage_counts(plan, state),
        stage_seconds=_stage_seconds(plan, state),
        sweep_dir=sweep_dir,
        conditions=state.conditions,
        baseline=plan.baseline,
        pairs=tuple(state.pairs),
    )


def _was_asked_for(planned: PlannedCell, state: LedgerState) -> bool:
    return state.only is None or _selection(state.only).matches(planned.cell)


_selection = lru_cache(maxsize=8)(parse_selection)


def _stage_counts(plan: Plan, state: LedgerState) -> Mapping[str, Mapping[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for stage in plan.stages.values():
        kind = counts.setdefault(stage.kind, Counter())
        if stage.id in state.done:
            kind["done"] += 1
        elif stage.id in state.failed:
            kind["failed"] += 1
        else:
            kind["pending"] += 1
    return counts


def _stage_seconds(plan: Plan, state: LedgerState) -> Mapping[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for stage in plan.stages.values():
        if stage.id in state.done:
            seconds[stage.kind] += state.done[stage.id].seconds
    return dict(seconds)
