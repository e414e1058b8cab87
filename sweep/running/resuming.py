"""Decides which results of earlier runs stand, and which stages are done again."""

from __future__ import annotations

import math
from pathlib import Path

from sweep.planning.kinds import place_of
from sweep.planning.stage import Plan
from sweep.planning.stage_kind import Place
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.state import FailedStage
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy

__all__ = ["settled_failures", "usable_results"]


def usable_results(plan: Plan, ledger: Ledger, sweep_dir: Path, options: RunOptions) -> set[str]:
    """Ids of the stages that are done, whose files are still there, and which this run is not to do again.

    A tuner that was cut short goes on; what was built and measured with its schedules follows it.
    """
    finished = ledger.state.done
    is_taint_retried = options.retry_failed or options.retry_tainted
    newest: dict[str, float] = {}
    """Stage -> when the last tuning that it rests on ended, as a line of the ledger."""
    done = set()
    for stage in plan.stages.values():
        newest[stage.id] = max((newest[need] for need in stage.inputs), default=0)
        one = finished.get(stage.id)
        if one is None:  # also where its line was destroyed: what was made with it stands
            continue
        if one.seq < newest[stage.id] or (is_taint_retried and one.result.disturbances):
            continue
        if place_of(stage) is Place.TUNER:
            newest[stage.id] = math.inf if one.is_cut_short else one.seq
            if one.is_cut_short:
                continue
        folder = one.result.dir
        if folder is None or (sweep_dir / folder).is_dir():
            done.add(stage.id)
    return done


def settled_failures(ledger: Ledger, policy: RetryPolicy, options: RunOptions) -> list[str]:
    """Ids of the stages that failed for a reason which another try cannot change."""
    if options.retry_failed:
        return []
    return [
        stage
        for stage, failed in ledger.state.failed.items()
        if not policy.is_transient(failed.error_class, failed.error) and not _has_more_time(failed, options)
    ]


def _has_more_time(failed: FailedStage, options: RunOptions) -> bool:
    """Whether a cell that ran out of its time has a higher limit now."""
    limit_s = options.cell_seconds
    return failed.limit_s is not None and (limit_s is None or limit_s > failed.limit_s)
