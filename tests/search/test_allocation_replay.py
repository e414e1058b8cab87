"""What a recorded sweep would have had when: its trials given out anew, task by task, in the order they were found.

SqueezeNet at level 3, `xgb` with eight trials a task, on one core of an AMD EPYC with AVX-512: of each task its weight,
its operations, what a trial cost and the medians of its trials.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sweep.search.allocation import FEW_TRIALS, TaskProgress, next_round, weigh

RECORD: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded_squeezenet.json").read_text(encoding="utf-8")
)
ROUND, FIRST = 16, 8
ALL_S = sum(one["trial_s"] * len(one["seconds"]) for one in RECORD)
"""What the recorded trials took: 26.8 s."""
BEST_S = sum(one["weight"] * min(one["seconds"]) for one in RECORD)


def replayed(seconds: float) -> dict[str, TaskProgress]:
    """The tasks after so long. Beyond its recorded trials a task finds nothing better."""
    tasks = {
        str(number): TaskProgress(
            str(number),
            one["weight"],
            one["operations"],
            cap=1 if one["is_trivial"] else 10**6,
            first=1 if one["is_trivial"] else FIRST,
        )
        for number, one in enumerate(RECORD)
    }
    calls, spent = {name: float(RECORD[int(name)]["weight"]) for name in tasks}, 0.0
    while spent < seconds:
        weigh([calls], tasks)
        for name, task in tasks.items():
            task.cost_s = RECORD[int(name)]["trial_s"]
        chosen = next_round(tasks.values(), ROUND, 10**9)
        assert chosen is not None
        task, count = chosen
        found = RECORD[int(task.workload)]["seconds"]
        for _ in range(count):
            task.add(found[task.trials] if task.trials < len(found) else max(found))
            spent += task.cost_s
    weigh([calls], tasks)
    return tasks


def network_s(tasks: dict[str, TaskProgress]) -> float:
    return sum(RECORD[int(name)]["weight"] * task.best_s for name, task in tasks.items())


def test_the_network_is_complete_before_any_task_is_refined() -> None:
    """With half a round for each task at first it was complete after more than half of the time."""
    assert not math.isfinite(network_s(replayed(0.1 * ALL_S)))
    assert math.isfinite(network_s(replayed(0.25 * ALL_S)))


@pytest.mark.parametrize(("share", "at_most"), [(0.3, 1.15), (0.5, 1.1), (0.8, 1.06), (1.5, 1.03)])
def test_the_trials_go_where_the_time_is(share: float, at_most: float) -> None:
    """How far from the best of all recorded trials the network is after a share of their time."""
    assert network_s(replayed(share * ALL_S)) / BEST_S <= at_most


def test_no_task_that_takes_the_time_is_left_for_those_that_take_none() -> None:
    tasks = replayed(3 * ALL_S).values()
    most = max((task.trials for task in tasks if task.share < 0.005 and task.cap > 1), default=0)
    assert all(task.trials >= min(FEW_TRIALS, most) for task in tasks if task.share >= 0.02 and task.cap > 1)
