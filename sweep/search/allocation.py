"""Shares a budget out over many tasks: trials go where the next ones should gain most.

First every task gets one, so that every model is complete, the costly ones first; then each next round goes to the
task with the largest expected gain: weight x time of one call x the share of it that a round is expected to save. That
share is what its latest rounds have saved, and what is left to the best efficiency seen on the device, less with each
round. Where time is the budget and not trials, it is the gain for each second that a trial of the task takes.

Efficiency is the share of a roof that a task attains: of the most operations a second that any task has come to, or of
the most bytes a second, whichever it is nearer to. A matrix product whose weights come from memory is then not held
against a convolution that computes all the time.

A gain for each second starves tasks whose trials are slow: half of a network's time once lay in tasks with a trial
each, while others with a thousandth of it had dozens. So while a task that takes two percent or more of its model's
time has had fewer than 16 trials and is below nine tenths of its roof, none goes to a task that takes less than half a
percent, or has had 32.

The weight of a task in one model is how often the model calls it. Over several models (`weigh`) it is relative to the
time of the model: a hundredth of a small network is worth as much as one of a network that takes fifty times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["FEW_TRIALS", "Roof", "TaskProgress", "next_round", "next_task", "weigh"]

FEW_TRIALS = 16
"""A task that takes much of a model's time is searched at least so long, before those that take next to none."""

_MEMORY = 0.5  # what a round has saved counts half as much after the next
_OPTIMISM = 0.5  # of the gap to the best efficiency, what a first round is expected to close
_FLOOR = 0.02  # of a task's time; keeps an estimate from shutting a task out for good
_PATIENCE = 4  # first rounds in which every candidate may fail before other tasks come first
_ROUND = 8.0  # trials after which optimism has halved
_ASSUMED_RATE = 1e10  # flops a second, of a task that has no time yet
_MANY_TRIALS = 2 * FEW_TRIALS
_LARGE = 0.02  # of a model's time
_SMALL = 0.005
_NEAR_ROOF = 0.9


class Roof(NamedTuple):
    """The most that tasks have come to on a device so far: operations and bytes, a second."""

    rate: float = 0.0
    traffic: float = 0.0

    @classmethod
    def over(cls, tasks: Iterable[TaskProgress]) -> Roof:
        """The roof that tasks with a valid schedule show."""
        timed = [task for task in tasks if math.isfinite(task.best_s)]
        return cls(
            max((task.flops / task.best_s for task in timed), default=0.0),
            max((task.traffic / task.best_s for task in timed), default=0.0),
        )


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
    traffic: float = 0.0
    """Bytes of the tensors of one call, each once; 0 where they are not known."""
    share: float = 0.0
    """Of the time of a model, in the one of which it takes the most; 0 where that is not known."""

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

    def efficiency(self, roof: Roof) -> float | None:
        """Share of the nearer roof that its best schedule attains; None where nothing tells."""
        tops = ((self.flops, roof.rate), (self.traffic, roof.traffic))
        shares = [amount / self.best_s / top for amount, top in tops if amount > 0 and top > 0]
        return max(shares) if shares and math.isfinite(self.best_s) else None

    def is_neglected(self, roof: Roof) -> bool:
        """Whether it takes much of a model's time, has had few trials, and may become faster."""
        if self.share < _LARGE or self.trials + self.in_flight >= FEW_TRIALS:
            return False
        return (self.efficiency(roof) or 0.0) < _NEAR_ROOF

    def gain(self, roof: Roof) -> float:
        """What the next round is expected to save, in weighted seconds."""
        if not math.isfinite(self.best_s):
            return 0.0
        attained = self.efficiency(roof)
        left = 0.5 if attained is None else max(0.0, 1.0 - attained)
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
    return task, max(1, min(_wanted(task, round_size), task.room, left - untried))


def _wanted(task: TaskProgress, round_size: int) -> int:
    """One trial first, so that every model is complete as early as may be; then as many as it has had, at least half a
    first round and at most a round.
    """
    if not task.trials + task.in_flight:
        return 1
    if not task.is_covered:
        return task.first - (task.trials + task.in_flight) % task.first
    return min(round_size, max(task.first // 2, task.trials))


def next_task(tasks: Iterable[TaskProgress], round_size: int) -> TaskProgress | None:
    """The task that the next round goes to; None when none can take more now.

    A task that has a full round out waits for its results, since its next round would not know them.
    """
    tasks = list(tasks)
    ready = [task for task in tasks if task.room > 0 and task.in_flight < round_size and not task.is_waiting]
    uncovered = [task for task in ready if not task.is_covered]
    if uncovered:
        return min(uncovered, key=lambda task: (task.rounds, -task.weight * task.flops, -task.weight, task.workload))
    roof = Roof.over(tasks)
    ready = [task for task in ready if task.trials > 0]
    if any(task.is_neglected(roof) for task in ready):
        ready = [task for task in ready if task.share >= _SMALL and task.trials < _MANY_TRIALS]
    return max(ready, key=lambda task: (task.gain(roof) / task.cost_s, task.workload), default=None)


def weigh(models: Iterable[Mapping[str, float]], tasks: Mapping[str, TaskProgress]) -> None:
    """Set what a second of each task is worth, and its `share`, by the present times of the models.

    models: of each, workload -> how often it is called. The weight is the calls over the time of the model, summed over
    the models: a saved second counts as the share that it is of the model, so that the sum of gains is what the mean of
    the models' relative times loses.
    """
    worth: dict[str, float] = {}
    shares: dict[str, float] = {}
    for calls in models:
        total_s = sum(count * _expected_s(tasks[workload]) for workload, count in calls.items()) or 1.0
        for workload, count in calls.items():
            worth[workload] = worth.get(workload, 0.0) + count / total_s
            share = count * _expected_s(tasks[workload]) / total_s
            shares[workload] = max(share, shares.get(workload, 0.0))
    for workload, weight in worth.items():
        tasks[workload].weight, tasks[workload].share = weight, shares[workload]


def _expected_s(task: TaskProgress) -> float:
    return task.best_s if math.isfinite(task.best_s) else task.flops / _ASSUMED_RATE
