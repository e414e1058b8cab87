"""Shares a budget out over many tasks: trials go where the next ones should gain most.

First every task gets a few, so that every model is complete, the costly ones first; then each next round goes to the
task with the largest expected gain: weight x time of one call x the share of it that a round is expected to save. That
share is what its latest rounds have saved, and what is left to the best efficiency seen on the device, less with each
round. Where time is the budget and not trials, it is the gain for each second that a trial of the task takes.

The weight of a task in one model is how often the model calls it. Over several models (`weights`) it is relative to the
time of the model: a hundredth of a small network is worth as much as one of a network that takes fifty times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["TaskProgress", "next_round", "next_task", "weights"]

_MEMORY = 0.5  # what a round has saved counts half as much after the next
_OPTIMISM = 0.5  # of the gap to the best efficiency, what a first round is expected to close
_FLOOR = 0.02  # of a task's time; keeps an estimate from shutting a task out for good
_PATIENCE = 4  # first rounds in which every candidate may fail before other tasks come first
_ROUND = 8.0  # trials after which optimism has halved
_ASSUMED_RATE = 1e10  # flops a second, of a task that has no time yet


@dataclass(slots=True)
class TaskProgress:
    """The state of one task, by which its next trials are decided: weight, operations, limits, trials, best time."""

    workload: str
    weight: float
    flops: float
    cap: int
    """Trials it may have at most, those it had before included."""
    first: int
    """Trials of its first round."""
    trials: int = 0
    best_s: float = math.inf
    saved: float = 0.0
    """Share of its time that recent rounds have saved, decayed."""
    in_flight: int = 0
    is_settled: bool = False
    """Used up, stopped early or given up: it gets no more."""
    leader: TaskProgress | None = None
    """A relative whose trials serve this one too: it waits for what the leader finds."""
    led_cap: int = 0
    """Trials it may have beside the leader's; the full `cap` again where the leader has found nothing."""
    cost_s: float = 1.0
    """Seconds that one more trial takes, where time is the budget; the same for all tasks where trials are."""

    @property
    def room(self) -> int:
        """Trials it may still be given."""
        is_led = self.leader is not None and (math.isfinite(self.leader.best_s) or not self.leader.is_over)
        return 0 if self.is_settled else max(0, (self.led_cap if is_led else self.cap) - self.trials - self.in_flight)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return not (self.room or self.in_flight)

    @property
    def is_waiting(self) -> bool:
        """For its leader: to have a schedule first, and to be done before the last trial goes to what it has found."""
        if self.leader is None or self.leader.is_over:
            return False
        if not self.trials + self.in_flight:
            return not math.isfinite(self.leader.best_s)
        return self.room == 1

    def follow(self, leader: TaskProgress, cap: int) -> None:
        """From now on the trials of a relative serve this one too, and it has few of its own."""
        self.leader, self.led_cap, self.first = leader, cap, 1

    @property
    def rounds(self) -> int:
        """First rounds it has been given, begun ones included."""
        return -(-(self.trials + self.in_flight) // max(1, self.first))

    @property
    def is_covered(self) -> bool:
        """Whether it has a valid schedule, waits for its first ones, or has failed often enough to stand back."""
        if math.isfinite(self.best_s):
            return True
        return self.trials + self.in_flight >= (self.first if self.in_flight else _PATIENCE * self.first)

    def add(self, seconds: float | None) -> None:
        """Take one trial in."""
        self.trials += 1
        if seconds is None or seconds >= self.best_s:
            self.saved *= _MEMORY ** (1.0 / _ROUND)
            return
        if math.isfinite(self.best_s):
            self.saved = self.saved * _MEMORY ** (1.0 / _ROUND) + (1.0 - seconds / self.best_s)
        self.best_s = seconds

    def gain(self, best_rate: float) -> float:
        """What the next round is expected to save, in weighted seconds; `best_rate` is in flops a second."""
        if not math.isfinite(self.best_s):
            return 0.0
        rate = self.flops / self.best_s
        left = max(0.0, 1.0 - rate / best_rate) if best_rate > 0 and self.flops > 0 else 0.5
        hope = _OPTIMISM * left / (1.0 + (self.trials + self.in_flight) / _ROUND)
        return self.weight * self.best_s * max(_FLOOR / (1.0 + self.trials / _ROUND), 0.5 * self.saved, hope)


def next_round(tasks: Iterable[TaskProgress], round_size: int, left: int) -> tuple[TaskProgress, int] | None:
    """The task that the next round goes to, and its trials; None when none can take more now.

    `left` is what remains of the whole budget. While there are tasks without a single trial, one is kept for each, so
    that a budget of as many trials as tasks still reaches all of them.
    """
    tasks = list(tasks)
    task = next_task(tasks, round_size) if left > 0 else None
    if task is None:
        return None
    untried = sum(1 for other in tasks if other is not task and other.room and not other.trials + other.in_flight)
    wanted = round_size if task.is_covered else max(1, task.first - task.in_flight)
    return task, max(1, min(wanted, task.room, left - untried))


def next_task(tasks: Iterable[TaskProgress], round_size: int) -> TaskProgress | None:
    """The task that the next round goes to; None when none can take more now.

    A task that has a full round out waits for its results, since its next round would not know them.
    """
    tasks = list(tasks)
    ready = [task for task in tasks if task.room > 0 and task.in_flight < round_size and not task.is_waiting]
    uncovered = [task for task in ready if not task.is_covered]
    if uncovered:
        return min(uncovered, key=lambda task: (task.rounds, -task.weight * task.flops, -task.weight, task.workload))
    ready = [task for task in ready if task.trials > 0]
    best_rate = max((task.flops / task.best_s for task in tasks if math.isfinite(task.best_s)), default=0.0)
    return max(ready, key=lambda task: (task.gain(best_rate) / task.cost_s, task.workload), default=None)


def weights(models: Iterable[Mapping[str, float]], tasks: Mapping[str, TaskProgress]) -> dict[str, float]:
    """What a second of each task is worth: its calls over the present time of the model, summed over the models.

    models: of each, workload -> how often it is called. A saved second then counts as the share that it is of the
    model, so that the sum of gains is what the mean of the models' relative times loses.
    """
    found: dict[str, float] = {}
    for calls in models:
        total_s = sum(count * _expected_s(tasks[workload]) for workload, count in calls.items())
        for workload, count in calls.items():
            found[workload] = found.get(workload, 0.0) + count / (total_s or 1.0)
    return found


def _expected_s(task: TaskProgress) -> float:
    return task.best_s if math.isfinite(task.best_s) else task.flops / _ASSUMED_RATE
