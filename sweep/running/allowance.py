"""Computes how long an attempt may take, where a run or a cell has a limit.

A run that must end in time shares the time that is left among the tuners that still wait for their turn, and keeps back
the time that builds and measurements of their schedules will take, so that each of them comes to an answer. Time is
seconds since the run began; nothing here reads a clock.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.planning.kinds import kind_of, kinds_after, place_of
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.running.contract import tuner_key
from sweep.running.ledger.state import FinishedStage

__all__ = ["Allowance", "Allowed", "grace_s"]

_SLACK = 0.95
"""Of a tuner's share: what it has under way when its time is over takes the rest."""
_LEAST_S = 2.0
"""A tuner that has less measures nothing, and is not started."""
_USEFUL_S = 60.0
"""Where shares would be less than this, the first tuners get so much and the last ones nothing. A tuner's process takes
5 s to come up, and longer on a busy machine."""
_MOST_KEPT_BACK = 0.5
"""Of the time that is left, however long builds and measurements have taken so far."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The time limit of one attempt, and what sets it."""

    seconds: float | None
    """None: as long as its kind of stage ever may. Not above 0: there is no time for it."""
    by_run: bool = False
    """Whether it is the run that has no more time. What was cut short for that, a later run takes up again."""


def grace_s(max_seconds: float) -> float:
    """How long what is under way may go on once a run's time is over: a twentieth of it, 10 s to 2 min."""
    return min(120.0, max(10.0, max_seconds / 20))


class Allowance:
    """Computes the limits of one run's attempts. `tuners_at_once`: how many pools of an engine tune side by side."""

    def __init__(
        self,
        plan: Plan,
        done: Mapping[str, FinishedStage],
        *,
        run_s: float | None = None,
        cell_s: float | None = None,
        tuners_at_once: int = 1,
    ) -> None:
        self._plan, self._run_s, self.cell_s = plan, run_s, cell_s
        self._at_once = max(1, tuners_at_once)
        self._is_limited = run_s is not None or cell_s is not None
        self._took_s: dict[str, float] = {}
        """Of each stage that is done; kept where there is a limit alone."""
        self._begun: dict[str, float] = {}
        """Pool -> the end of its share."""
        self._waiting: dict[str, set[str]] = {}
        """Pool -> its tune stages that have not ended."""
        if self._is_limited:
            self._took_s.update((stage_id, one.seconds) for stage_id, one in done.items())
            for stage in plan.stages.values():
                if place_of(stage) is Place.TUNER:
                    self._waiting.setdefault(tuner_key(stage), set()).add(stage.id)
        self._members = {pool: len(stages) for pool, stages in self._waiting.items()}

    def of(self, stage: Stage, now_s: float) -> Allowed:
        """What an attempt that begins now may take."""
        if place_of(stage) is not Place.TUNER:
            return Allowed(self._of_cell(stage))
        by_cell = None if self.cell_s is None else self.cell_s * self._members[tuner_key(stage)]
        if self._run_s is None:
            return Allowed(by_cell)
        by_run = self._share_end_s(stage, now_s) - now_s
        if by_run < _LEAST_S:
            return Allowed(0.0, by_run=True)
        return Allowed(by_cell) if by_cell is not None and by_cell <= by_run else Allowed(by_run, by_run=True)

    def ended(self, stage: Stage, took_s: float | None = None) -> None:
        """A stage is over: it is done and `took_s`, or there will be no more of it. Its pool may not need its share."""
        if took_s is not None and self._is_limited:
            self._took_s[stage.id] = took_s
        pool = self._waiting.get(tuner_key(stage)) if place_of(stage) is Place.TUNER else None
        if pool is not None:
            pool.discard(stage.id)

    def _of_cell(self, stage: Stage) -> float | None:
        """What is left of a cell's time after the work that this stage rests on, tuning apart."""
        if self.cell_s is None:
            return None
        spent, seen, work = 0.0, set(), list(stage.inputs)
        while work:
            stage_id = work.pop()
            if stage_id in seen:
                continue
            seen.add(stage_id)
            below = self._plan.stages[stage_id]
            work.extend(below.inputs)
            if place_of(below) is not Place.TUNER:
                spent += self._took_s.get(stage_id, 0.0)
        return self.cell_s - spent

    def _share_end_s(self, stage: Stage, now_s: float) -> float:
        """When the time of a stage's pool is over. All that tune together have one share, set when the first begins."""
        assert self._run_s is not None
        key = tuner_key(stage)
        if key not in self._begun:
            waiting = [pool for pool, stages in self._waiting.items() if stages and pool not in self._begun]
            turns = math.ceil(max(1, len(waiting)) / self._at_once)
            left_s = max(0.0, self._run_s - now_s)
            kept_s = min(_MOST_KEPT_BACK * left_s, self._afterwards_s() / turns)
            share_s = max((left_s - kept_s) / turns, min(_USEFUL_S, left_s - kept_s))
            self._begun[key] = now_s + _SLACK * share_s
        return self._begun[key]

    def _afterwards_s(self) -> float:
        """Seconds of the builds and measurements that wait for tuning, by what such stages have taken so far.

        Devices work side by side, so the one that has most to do counts.
        """
        took_s: dict[str, list[float]] = {kind: [] for kind in kinds_after(Place.TUNER)}
        waiting: Counter[tuple[str, str | None]] = Counter()
        """Stages by kind and device."""
        for stage in self._plan.stages.values():
            if stage.kind not in took_s:
                continue
            if stage.id in self._took_s:
                took_s[stage.kind].append(self._took_s[stage.id])
            else:
                is_measured = place_of(stage) is Place.DEVICE
                waiting[stage.kind, str(stage.options.get("device")) if is_measured else None] += 1
        busy_s: defaultdict[str | None, float] = defaultdict(float)
        for (kind, device), stages in waiting.items():
            took = took_s[kind]
            busy_s[device] += stages * (sum(took) / len(took) if took else kind_of(kind).cost_s)
        compiling_s = busy_s.pop(None, 0.0)
        return compiling_s + max(busy_s.values(), default=0.0)
