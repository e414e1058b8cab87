"""Makes the outcome of a sweep from its plan and its ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from sweep.analysis.final_place import FinalPlace
from sweep.analysis.outcome import MEASURED, REFUSED, CellOutcome, CellStatus, SweepOutcome
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.results.stage_result import StageResult
from sweep.planning.sharing.names_in_cell import names_in_cell
from sweep.planning.stage import Plan, PlannedCell
from sweep.planning.stages import roofline_stages as roofline
from sweep.running.events import StageState
from sweep.running.goals import state_of_cell
from sweep.running.ledger.final_places import final_places
from sweep.running.ledger.state import LedgerState
from sweep.study.selection import parse_selection

__all__ = ["cell_outcome", "sweep_outcome"]


def cell_outcome(plan: Plan, planned: PlannedCell, state: LedgerState) -> CellOutcome:
    """One cell as the ledger has it.

    Its goals decide (`sweep.running.goals`): a cell is `failed`, by the first of its stages that failed for good, when
    all of them have ended and one will never be had; `pending` while one is missing; `skipped` where it was not worth
    its work, its runtime refuses the network, or the last run was for it and has stopped before it; `tainted` where its
    measurement stayed disturbed.
    """
    tags = {**plan.tags, **planned.tags} if planned.tags else plan.tags
    if planned.refusal:
        return CellOutcome(planned.cell, "skipped", REFUSED, planned.refusal, tags=tags)
    names = names_in_cell(planned, plan.stages)
    done = {names[stage]: state.done[stage] for stage in planned.stages if stage in state.done}
    results = {name: finished.result for name, finished in done.items()}
    goals = [_state_of_goal(plan, planned, goal, state) for goal in planned.goals]
    status = _STATUS[state_of_cell(goals)]
    failed, reasons = None, []
    if status != "done":  # what is measured stays measured, also when something before it is missing now
        lost = (stage for stage in planned.stages if stage in state.failed and stage not in state.done)
        failed = state.failed.get(next(lost, ""))
    else:
        reasons = [reason for result in results.values() for reason in result.disturbances]
        status = "tainted" if reasons else status
    if status == "pending" and (reason := _why_skipped(planned, state)) is not None:
        status, reasons = "failed" if failed else "skipped", [reason]
    return CellOutcome(
        cell=planned.cell,
        status=status,
        error_class=failed.error_class if failed else None,
        error=_error_of(failed.error, results.values()) if failed else "; ".join(reasons) or None,
        failed_stage=failed.kind if failed else None,
        stages=results,
        stage_seconds={name: finished.seconds for name, finished in done.items()},
        attempts=sum(state.attempts_of(stage) for stage in planned.stages),
        kept=planned.kept or None,
        predicted=_predicted(planned, state, status),
        tags=tags,
    )


_STATUS: Mapping[StageState, CellStatus] = {
    StageState.DONE: "done",
    StageState.FAILED: "failed",
    StageState.WAITING: "pending",
}


def _error_of(error: str, results: Iterable[StageResult]) -> str:
    """With what was found out of the network that may have led to it."""
    said = next((one.range_words for one in results if isinstance(one, LowerResult) and one.range_words), None)
    return error if said is None else f"{error}; {said}"


def _state_of_goal(plan: Plan, planned: PlannedCell, goal: str, state: LedgerState) -> StageState:
    """DONE, FAILED where a stage that it rests on has failed for good, else WAITING."""
    if goal in state.done:
        return StageState.DONE
    needed = plan.needed_by(planned, goal)
    is_lost = any(stage in state.failed and stage not in state.done for stage in needed)
    return StageState.FAILED if is_lost else StageState.WAITING


def _predicted(planned: PlannedCell, state: LedgerState, status: CellStatus) -> PredictedLatency | None:
    """That of a cell to be audited says nothing before it is measured: such a cell was not spared."""
    predicted = state.predicted.get(planned.cell.id)
    return None if predicted is None or (predicted.is_audited and status not in MEASURED) else predicted


def _why_skipped(planned: PlannedCell, state: LedgerState) -> str | None:
    if state.not_admitted and (reason := state.not_admitted.get(planned.cell.id)) is not None:
        return reason
    return state.stopped if state.stopped is not None and _was_asked_for(planned, state) else None


def sweep_outcome(plan: Plan, question: str, state: LedgerState, sweep_dir: Path) -> SweepOutcome:
    """The whole sweep as the ledger has it. `question`: the study's."""
    places = final_places(plan, state)
    return SweepOutcome(
        study=plan.study_name,
        question=question,
        cells=[_placed(cell_outcome(plan, planned, state), places) for planned in plan.cells],
        started_t=state.first_t or 0.0,
        ended_t=max(state.first_t or 0.0, state.last_t or 0.0),  # a clock may have been set back
        interrupted=state.last_status == "interrupted",
        stage_counts=_stage_counts(plan, state),
        stage_seconds=_stage_seconds(plan, state),
        sweep_dir=sweep_dir,
        conditions=state.conditions,
        baseline=plan.baseline,
        baselines=plan.baselines,
        originals=plan.originals,
        pairs=tuple(state.pairs),
        worked_s=state.worked_s,
        tags=plan.tags,
        objective=plan.objective,
        finals=_finals(state, places),
        rooflines=[one.result for one in state.done.values() if one.kind in (roofline.DEVICE, roofline.LAYERS)],
    )


def _finals(state: LedgerState, places: Mapping[str, FinalPlace]) -> Mapping[str, FinalResult]:
    results = {final: state.done[final].result for final in dict.fromkeys(one.final for one in places.values())}
    return {final: result for final, result in results.items() if isinstance(result, FinalResult)}


def _placed(outcome: CellOutcome, places: Mapping[str, FinalPlace]) -> CellOutcome:
    place = places.get(outcome.cell.id) if places else None
    return outcome if place is None else replace(outcome, final=place)


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
