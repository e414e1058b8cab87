"""How many candidates one tune stage may measure, by its own options. `trial_count` counts those of a whole plan."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.planning.results.compiling import LoweredTask
from sweep.planning.stage import Stage

__all__ = ["ASSUMED_TASKS", "RELATIVE_TRIALS", "TRIAL_S", "Tasks", "shared_limits", "trials_alone", "trials_at_most"]

ASSUMED_TASKS = 25
"""Tasks of a network whose tasks are not known yet: 20 to 40 in networks between SqueezeNet and ResNet-50."""

RELATIVE_TRIALS = 2
"""Trials of a workload whose relative (the same heavy block, with something else around it) has all the trials that a
task may have: the relative's best schedule when there is one, and when it is done."""

TRIAL_S = 0.4
"""Seconds for one trial, roughly, on two cores."""

Tasks = Sequence[LoweredTask]
"""Of a lowered network."""


def trials_at_most(stage: Stage, tasks: Tasks | None = None) -> int:
    """Candidates that a tune stage may measure on its own, with an even share of what is for its whole pool.

    tasks: of the network that it tunes, if they are known.
    """
    limits = shared_limits(stage, 1)
    per_task = stage.options["tuner"]["options"].get("trials_per_task")
    if per_task is not None:
        limits.append(trials_alone(tasks, int(per_task)))
    return min(limits)


def shared_limits(stage: Stage, sharers: int) -> list[int]:
    """What `trials_total` and `hours`, which are for a whole pool, leave so many of its stages."""
    options = stage.options["tuner"]["options"]
    share = sharers / max(1, stage.hints.get("members", 1))
    limits = []
    if options.get("trials_total") is not None:
        limits.append(math.ceil(options["trials_total"] * share))
    if options.get("hours") is not None:
        limits.append(math.ceil(options["hours"] * 3600 / TRIAL_S * share))
    return limits


def trials_alone(tasks: Tasks | None, per_task: int) -> int:
    """Of tasks that nobody else tunes; None: not known yet."""
    if tasks is None:
        return ASSUMED_TASKS * per_task
    return sum(1 if task.trivial else per_task for task in tasks)
