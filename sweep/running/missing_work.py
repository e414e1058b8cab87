"""Whether a run has anything to do, and what it will measure first."""

from __future__ import annotations

from pathlib import Path

from sweep.planning.kinds import kind_of
from sweep.planning.results.measurement import Measurement
from sweep.planning.stage import Plan, Stage
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from sweep.running.resuming import settled_failures, usable_results
from sweep.study.planner_options import as_conditions
from sweep.study.spec import Study

__all__ = ["first_measurement", "is_missing_something"]


def is_missing_something(study: Study, plan: Plan, ledger: Ledger, sweep_dir: Path, options: RunOptions) -> bool:
    """Whether any cell lacks an answer that another run could give, or files are not as they were.

    A cell that this very planner has skipped would be skipped again; so would one of a larger batch than what has
    failed, and what failed is missing itself where it is to be tried again.
    """
    usable = usable_results(plan, ledger, sweep_dir, options)
    failed = set(settled_failures(ledger, RetryPolicy(), options))
    state = ledger.state
    noted = as_conditions(study.planner)
    is_same = bool(noted) and noted.items() <= state.conditions.items()
    spared = state.predicted.keys() & state.not_admitted.keys() if is_same else set()
    if study.profile is not None and study.profile.until_first_failure is not None:
        spared |= state.not_admitted.keys() - state.predicted.keys()
    return bool(usable.damaged) or any(
        goal not in usable.done and not failed.intersection(plan.needed_by(cell, goal))
        for cell in plan.cells
        if cell.cell.id not in spared
        for goal in cell.goals
    )


def first_measurement(plan: Plan, ledger: Ledger) -> Stage | None:
    """The first measurement, in the order of the plan, that nothing has done; None where all are."""
    stages = (stage for stage in plan.stages.values() if kind_of(stage.kind).result is Measurement)
    return next((stage for stage in stages if stage.id not in ledger.state.done), None)
