"""How many candidates a plan may measure, and how many a loop over its cells would.

Stages of one tuner, target and device tune as one pool: a workload that several networks have is tuned once, a trivial
one (nothing in it to decide) gets one trial. Of workloads of one family (the same heavy block, with something else
around it) one gets its trials, and the others a few for what it has found. Which tasks a network has is known once it
is lowered; until then it is taken to have `ASSUMED_TASKS`, none of them shared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.planning.results import LoweredTask
from sweep.planning.stage import Plan, Stage

__all__ = [
    "ASSUMED_TASKS",
    "RELATIVE_TRIALS",
    "TRIAL_S",
    "TrialCount",
    "count_trials",
    "trials_at_most",
    "trials_together",
]

ASSUMED_TASKS = 25
"""Tasks of a network whose tasks are not known yet: 20 to 40 in networks between SqueezeNet and ResNet-50."""

RELATIVE_TRIALS = 2
"""Trials of a workload whose relative (the same heavy block, with something else around it) has all the trials that a
task may have: the relative's best schedule when there is one, and when it is done."""

TRIAL_S = 0.4
"""Seconds for one trial, roughly, on two cores."""

Tasks = Sequence[LoweredTask]
"""Of a lowered network."""


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
        if stage.kind == "tune":
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


def trials_at_most(stage: Stage, tasks: Tasks | None = None) -> int:
    """Candidates that a tune stage may measure on its own, with an even share of what is for its whole pool.

    tasks: of the network that it tunes, if they are known.
    """
    limits = _shared_limits(stage, 1)
    per_task = stage.options["tuner"]["options"].get("trials_per_task")
    if per_task is not None:
        limits.append(_trials_alone(tasks, int(per_task)))
    return min(limits)


def trials_together(tasks: Iterable[LoweredTask], per_task: int, tuned: Tasks = ()) -> int:
    """Of tasks that are tuned as one pool, without those that are tuned already."""
    workloads, led = {task.workload for task in tuned}, {task.relatives for task in tuned}
    trials = 0
    for task in tasks:
        if task.workload in workloads:
            continue
        workloads.add(task.workload)
        if task.trivial:
            trials += 1
        else:
            trials += min(per_task, RELATIVE_TRIALS) if task.relatives in led else per_task
            led.add(task.relatives)
    return trials


def _of_pool(stages: Sequence[Stage], lowered: Mapping[str, Tasks], tuned: Tasks = ()) -> int:
    """For what these stages of one pool have between them, but for tasks that are tuned."""
    if not stages:
        return 0
    limits = _shared_limits(stages[0], len(stages))
    per_task = stages[0].options["tuner"]["options"].get("trials_per_task")
    if per_task is not None:
        found = [_tasks(stage, lowered) for stage in stages]
        unknown = sum(_trials_alone(None, int(per_task)) for tasks in found if tasks is None)
        known = (task for tasks in found for task in tasks or ())
        limits.append(unknown + trials_together(known, int(per_task), tuned))
    return min(limits)


def _shared_limits(stage: Stage, sharers: int) -> list[int]:
    """What `trials_total` and `hours`, which are for a whole pool, leave so many of its stages."""
    options = stage.options["tuner"]["options"]
    share = sharers / max(1, stage.hints.get("members", 1))
    limits = []
    if options.get("trials_total") is not None:
        limits.append(math.ceil(options["trials_total"] * share))
    if options.get("hours") is not None:
        limits.append(math.ceil(options["hours"] * 3600 / TRIAL_S * share))
    return limits


def _trials_alone(tasks: Tasks | None, per_task: int) -> int:
    if tasks is None:
        return ASSUMED_TASKS * per_task
    return sum(1 if task.trivial else per_task for task in tasks)


def _tasks(stage: Stage, lowered: Mapping[str, Tasks]) -> Tasks | None:
    known: Iterable[Tasks] = (lowered[each] for each in stage.inputs if each in lowered)
    return next(iter(known), None)
