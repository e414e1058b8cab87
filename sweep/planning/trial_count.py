"""Counts the candidates that a plan may measure, and those that a loop over its cells would.

Stages of one tuner, target and device tune as one pool: a workload that several networks have is tuned once, a trivial
one (nothing in it to decide) gets one trial. Of workloads of one family (the same heavy block, with something else
around it) one gets its trials, and the others a few for what it has found. Which tasks a network has is known once it
is lowered; until then it is taken to have `trial_limits.ASSUMED_TASKS`, none of them shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.planning.kinds import place_of
from sweep.planning.results.compiling import LoweredTask
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.planning.trial_limits import RELATIVE_TRIALS, Tasks, shared_limits, trials_alone, trials_at_most

__all__ = ["TrialCount", "count_alike", "count_trials", "trials_together"]


@dataclass(frozen=True, slots=True)
class TrialCount:
    """Trials that tuning may spend, at most."""

    to_do: int
    """In stages that are not done, for workloads that no stage has tuned."""
    pooled: int
    """In the whole plan, each workload once."""
    naive: int
    """In a loop over the cells, each tuned alone."""
    networks: int
    """Tune stages of the plan."""
    networks_known: int
    """Those whose tasks are known."""


def count_trials(plan: Plan, done: Container[str] = (), lowered: Mapping[str, Tasks] | None = None) -> TrialCount:
    """Count what a plan may spend.

    done: ids of stages that need not run. lowered: tasks of lowered networks, by the id of their lower stage.
    """
    lowered = lowered or {}
    pools: dict[str, list[Stage]] = {}
    for stage in plan.stages.values():
        if place_of(stage) is Place.TUNER:
            pools.setdefault(str(stage.hints["tuner_key"]), []).append(stage)
    tune_stages = [stage for stages in pools.values() for stage in stages]
    cells = Counter(stage for planned in plan.cells for stage in planned.stages)
    to_do = 0
    for stages in pools.values():
        tuned = [task for stage in stages if stage.id in done for task in _tasks(stage, lowered) or ()]
        to_do += _of_pool([stage for stage in stages if stage.id not in done], lowered, tuned)
    return TrialCount(
        to_do=to_do,
        pooled=sum(_of_pool(stages, lowered) for stages in pools.values()),
        naive=sum(cells[stage.id] * trials_at_most(stage, _tasks(stage, lowered)) for stage in tune_stages),
        networks=len(tune_stages),
        networks_known=sum(_tasks(stage, lowered) is not None for stage in tune_stages),
    )


def count_alike(stages: Iterable[tuple[Stage, int, int]]) -> TrialCount:
    """Count what a plan may spend of which nothing is lowered yet.

    stages: tune stages that differ by their inputs alone, how many of them there are, and how many cells take one.
    """
    known = list(stages)
    pools: dict[str, tuple[Stage, int]] = {}
    for stage, number, _ in known:
        first, so_far = pools.get(str(stage.hints["tuner_key"]), (stage, 0))
        pools[str(stage.hints["tuner_key"])] = first, so_far + number
    pooled = 0
    for stage, number in pools.values():
        limits = shared_limits(stage, number)
        per_task = stage.options["tuner"]["options"].get("trials_per_task")
        if per_task is not None:
            limits.append(number * trials_alone(None, int(per_task)))
        pooled += min(limits)
    return TrialCount(
        to_do=pooled,
        pooled=pooled,
        naive=sum(cells * trials_at_most(stage) for stage, _, cells in known),
        networks=sum(number for _, number, _ in known),
        networks_known=0,
    )


def trials_together(
    tasks: Iterable[LoweredTask], per_task: int, tuned: Tasks = (), *, led: int = RELATIVE_TRIALS
) -> int:
    """Of tasks that are tuned as one pool, without those that are tuned already.

    led: trials at most of one whose relative has all that a task may have.
    """
    workloads, searched = {task.workload for task in tuned}, {task.relatives for task in tuned}
    trials = 0
    for task in tasks:
        if task.workload in workloads:
            continue
        workloads.add(task.workload)
        if task.trivial:
            trials += 1
        else:
            trials += min(per_task, led) if task.relatives in searched else per_task
            searched.add(task.relatives)
    return trials


def _of_pool(stages: Sequence[Stage], lowered: Mapping[str, Tasks], tuned: Tasks = ()) -> int:
    """For what these stages of one pool have between them, but for tasks that are tuned."""
    if not stages:
        return 0
    limits = shared_limits(stages[0], len(stages))
    per_task = stages[0].options["tuner"]["options"].get("trials_per_task")
    if per_task is not None:
        found = [_tasks(stage, lowered) for stage in stages]
        unknown = sum(trials_alone(None, int(per_task)) for tasks in found if tasks is None)
        known = (task for tasks in found for task in tasks or ())
        led = int(per_task) if limits else RELATIVE_TRIALS  # as `TuningBudget.led_limit_of`
        limits.append(unknown + trials_together(known, int(per_task), tuned, led=led))
    return min(limits)


def _tasks(stage: Stage, lowered: Mapping[str, Tasks]) -> Tasks | None:
    known: Iterable[Tasks] = (lowered[each] for each in stage.inputs if each in lowered)
    return next(iter(known), None)
