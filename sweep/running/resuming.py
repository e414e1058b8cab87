"""Decides which results of earlier runs stand, and which stages are done again."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.files.checksums import damage, damage_without_checksums
from sweep.planning.kinds import place_of
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan
from sweep.planning.stage_kind import Place
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.state import FailedStage
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy

__all__ = ["Usable", "damage_of", "settled_failures", "usable_results"]


@dataclass(frozen=True, slots=True)
class Usable:
    """What earlier runs have left to this one."""

    done: set[str]
    """Ids of the stages that are done, and which this run is not to do again."""
    damaged: Mapping[str, str]
    """What is the matter with files that are there and are not as they were, by the id of their stage: this run makes
    them again, whether anything needs them or not."""
    unchecked: int
    """Stages whose files are taken as they are, since an earlier version has left no checksums of them."""


def usable_results(plan: Plan, ledger: Ledger, sweep_dir: Path, options: RunOptions) -> Usable:
    """Which stages are done, with files that are as they were.

    Size and time of all files are looked at, and what this run is going to use is read. A tuner that was cut short goes
    on; what was built and measured with its schedules follows it.
    """
    finished = ledger.state.done
    is_taint_retried = options.retry_failed or options.retry_tainted
    newest: dict[str, float] = {}
    """Stage -> when the last tuning that it rests on ended, as a line of the ledger."""
    done, damaged = set(), {}
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
        if one.result.dir is not None and not (sweep_dir / one.result.dir).is_dir():
            continue
        reason = damage_of(one.result, sweep_dir, is_read=False)
        if reason is None:
            done.add(stage.id)
        else:
            damaged[stage.id] = reason
    unchecked = _read_what_is_used(plan, done, damaged, lambda stage_id: finished[stage_id].result, sweep_dir)
    return Usable(done, damaged, unchecked)


def _read_what_is_used(
    plan: Plan, done: set[str], damaged: dict[str, str], result: Callable[[str], StageResult], sweep_dir: Path
) -> int:
    """Move what turns out to be damaged from `done` to `damaged`; how many of the others have no checksums."""
    to_do = [goal for planned in plan.cells for goal in planned.goals if goal not in done] + list(damaged)
    seen, unchecked = set(to_do), 0
    while to_do:
        for need in plan.stages[to_do.pop()].inputs:
            if need in seen:
                continue
            seen.add(need)
            if need not in done:
                to_do.append(need)
                continue
            reason = damage_of(result(need), sweep_dir, is_read=True)
            if reason is not None:
                done.remove(need)
                damaged[need] = reason
                to_do.append(need)
            elif result(need).dir is not None and result(need).files is None:
                unchecked += 1
    return unchecked


def damage_of(
    result: StageResult, sweep_dir: Path, *, is_read: bool, names: Container[str] | None = None
) -> str | None:
    """What is the matter with the files of a result, in words that begin with the file; None where they are as they
    were. `is_read`: their content is read, and not size and time alone looked at. `names`: of these alone.
    """
    if result.dir is None:
        return None
    folder = sweep_dir / result.dir
    if result.files is not None:
        sums = {name: about for name, about in result.files.items() if names is None or name in names}
        reason = damage(folder, sums, is_read=is_read)
    else:
        needed = [name for name in result.needed_files if names is None or name in names]
        reason = damage_without_checksums(folder, needed) if is_read else None
    return None if reason is None else f"{result.dir}/{reason}"


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
