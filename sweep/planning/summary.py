"""Sums up a plan before any of it runs: how much is shared, how much is done already, how long it may take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.planning.kinds import STAGE_KINDS, kind_of, place_of
from sweep.planning.sharing.alike import CountedPlan, alike_by_kind
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.planning.trial_count import TrialCount, count_alike, count_trials
from sweep.planning.trial_limits import ASSUMED_TASKS, Tasks
from sweep.study.grid import LeftOut

__all__ = ["KindSummary", "PlanSummary", "explain", "explain_counted", "left_out_lines"]

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class KindSummary:
    """The stages of one kind."""

    kind: str
    unique: int
    """Stages of the plan, shared ones once."""
    naive: int
    """Stages that a nested loop over the cells would run."""
    cached: int
    """Of the unique ones, those done already."""
    remaining_s: float
    """Estimate for those that are not."""
    naive_s: float
    """Estimate for the nested loop."""
    is_measured: bool
    """Whether the estimate rests on this ledger's own seconds."""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan in numbers: cells, stages by kind, trials, and an estimate of its time."""

    study_name: str
    cells: int
    cells_done: int
    kinds: tuple[KindSummary, ...]
    trials: TrialCount
    """Candidates that tuning may measure, as far as this can be known before lowering."""
    notes: tuple[str, ...]
    """What was left out of the grid, and what the estimate assumes."""
    cells_refused: int = 0
    """Those whose runtime does not take the network: they are rows, and no work."""

    @property
    def remaining_s(self) -> float:
        """Seconds for all that is not done, one stage after another."""
        return sum(kind.remaining_s for kind in self.kinds)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "study": self.study_name,
            "cells": self.cells,
            "cells_by_status": {
                "done": self.cells_done,
                "planned": self.cells - self.cells_done - self.cells_refused,
                **({"refused": self.cells_refused} if self.cells_refused else {}),
            },
            "stages": {kind.kind: kind.unique for kind in self.kinds},
            "naive_stages": {kind.kind: kind.naive for kind in self.kinds},
            "cached": {kind.kind: kind.cached for kind in self.kinds},
            "estimate_s": {kind.kind: round(kind.remaining_s, 1) for kind in self.kinds},
            "estimate_total_s": round(self.remaining_s, 1),
            "naive_estimate_total_s": round(sum(kind.naive_s for kind in self.kinds), 1),
            "trials_at_most": self.trials.to_do,
            "pooled_trials": self.trials.pooled,
            "naive_trials": self.trials.naive,
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        """For the terminal."""
        head = f"{self.study_name}: {_counted(self.cells, 'cell')}, {self.cells_done:,} done"
        if self.cells_refused:
            whose = "its runtime" if self.cells_refused == 1 else "their runtimes"
            head += f", {self.cells_refused:,} refused by {whose}"
        rows: list[tuple[str, ...]] = [("stages", "unique", "naive", "cached", "to do", "estimate", "naive estimate")]
        rows += [_row(kind.kind, [kind]) for kind in self.kinds]
        rows.append(_row("all", self.kinds))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])  # the kind to the left
            for row in rows
        ]
        return "\n".join([head, "", *table, "", *self.notes])


def explain(
    plan: Plan,
    done: Container[str] = (),
    seconds: Mapping[str, float] | None = None,
    lowered: Mapping[str, Tasks] | None = None,
    again: Sequence[str] = (),
) -> PlanSummary:
    """How much work a plan is.

    done: ids of stages that need not run. seconds: what stages took, by id, to estimate the others from; a `done` that
    is a mapping is taken for that. lowered: tasks of the networks that are lowered, by the id of their lower stage.
    again: what is done and would be done again, in words.
    """
    if seconds is None:
        seconds = done if isinstance(done, Mapping) else {}
    costs = _Costs(plan.stages.values(), seconds)
    unique: Counter[str] = Counter()
    cached: Counter[str] = Counter()
    remaining: defaultdict[str, float] = defaultdict(float)
    spent: defaultdict[str, float] = defaultdict(float)
    for stage in plan.stages.values():
        unique[stage.kind] += 1
        cost_s = costs.of(stage)
        spent[stage.kind] += cost_s
        if stage.id in done:
            cached[stage.kind] += 1
        else:
            remaining[stage.kind] += cost_s
    kinds = tuple(
        KindSummary(
            kind=kind,
            unique=unique[kind],
            naive=plan.naive.get(kind, 0),
            cached=cached[kind],
            remaining_s=remaining[kind],
            naive_s=spent[kind] / unique[kind] * plan.naive.get(kind, 0),
            is_measured=costs.is_measured(kind),
        )
        for kind in STAGE_KINDS.names()
        if unique[kind]
    )
    trials = count_trials(plan, done, lowered)
    return PlanSummary(
        study_name=plan.study_name,
        cells=len(plan.cells),
        cells_done=sum(all(goal in done for goal in planned.goals) for planned in plan.cells if planned.goals),
        cells_refused=sum(bool(planned.refusal) for planned in plan.cells),
        kinds=kinds,
        trials=trials,
        notes=(
            *(f"done again: {one}; `sweep run --keep` goes on with what there is" for one in again),
            *_notes(plan.left_out, trials, any(kind.is_measured for kind in kinds)),
        ),
    )


def explain_counted(counted: CountedPlan) -> PlanSummary:
    """The same of a plan of which nothing is done yet."""
    kinds = []
    for kind, alike in alike_by_kind(counted.stages):
        unique, naive = sum(one.stages for one in alike), sum(one.cells for one in alike)
        seconds = sum(one.stages * _expected_s(one.stage) for one in alike)
        kinds.append(
            KindSummary(
                kind=kind,
                unique=unique,
                naive=naive,
                cached=0,
                remaining_s=seconds,
                naive_s=seconds / unique * naive,
                is_measured=False,
            )
        )
    tuned = ((one.stage, one.stages, one.cells) for one in counted.stages if place_of(one.stage) is Place.TUNER)
    trials = count_alike(tuned)
    return PlanSummary(
        study_name=counted.study_name,
        cells=counted.cells,
        cells_done=0,
        cells_refused=counted.refused,
        kinds=tuple(kinds),
        trials=trials,
        notes=tuple(_notes(counted.left_out, trials, is_measured=False)),
    )


class _Costs:
    """Seconds a stage takes: its own if it was run, else the mean of its kind, else what its kind says."""

    def __init__(self, stages: Iterable[Stage], seconds: Mapping[str, float]) -> None:
        self._seconds = seconds
        total: dict[str, float] = {}
        units: dict[str, float] = {}
        if seconds:
            for stage in stages:
                if stage.id in seconds:
                    total[stage.kind] = total.get(stage.kind, 0.0) + seconds[stage.id]
                    units[stage.kind] = units.get(stage.kind, 0.0) + kind_of(stage).units(stage)
        self._measured_s = {kind: total[kind] / units[kind] for kind in total if units[kind] > 0}

    def of(self, stage: Stage) -> float:
        if stage.id in self._seconds:
            return self._seconds[stage.id]
        if self.is_measured(stage.kind):
            return self._measured_s[stage.kind] * kind_of(stage).units(stage)
        return _expected_s(stage)

    def is_measured(self, kind: str) -> bool:
        return kind in self._measured_s


def _expected_s(stage: Stage) -> float:
    """By its kind alone."""
    kind = kind_of(stage)
    return kind.cost_s * kind.units(stage) + kind.fixed_s(stage)


def left_out_lines(left_out: Iterable[LeftOut]) -> Iterable[str]:
    """What the grid has no cells of, and why, a line each."""
    for entry in left_out:
        yield f"left out: {entry.what} on {entry.device}: {entry.reason}"


def _notes(left_out: Iterable[LeftOut], trials: TrialCount, is_measured: bool) -> Iterable[str]:
    yield from left_out_lines(left_out)
    basis = "seconds of this sweep so far, and a table where it has none" if is_measured else "a table"
    yield f"estimate: from {basis}, one stage after another; devices and builders work side by side"
    if trials.networks:
        pooled = _counted(trials.pooled, "trial")
        yield f"tuning: up to {pooled}, {trials.naive:,} in a loop over the cells; {_basis(trials)}"
        if trials.to_do < trials.pooled:
            left = f"up to {_counted(trials.to_do, 'trial')} of them" if trials.to_do else "none of them is"
            yield f"tuning: {left} still to do"


def _basis(trials: TrialCount) -> str:
    unknown = trials.networks - trials.networks_known
    if not unknown:
        return "tasks of all networks are known"
    who = "a network" if not trials.networks_known else f"each of the {unknown:,} networks not lowered yet"
    return f"{who} is taken to have {ASSUMED_TASKS} tasks, and none of another's, until it is lowered"


def _row(name: str, kinds: Iterable[KindSummary]) -> tuple[str, ...]:
    kinds = list(kinds)
    unique, cached = sum(kind.unique for kind in kinds), sum(kind.cached for kind in kinds)
    numbers = (unique, sum(kind.naive for kind in kinds), cached, unique - cached)
    times = (sum(kind.remaining_s for kind in kinds), sum(kind.naive_s for kind in kinds))
    return (name, *(f"{number:,}" for number in numbers), *(duration(time_s) for time_s in times))


def duration(time_s: float) -> str:
    """Seconds as a person says them, to about two digits: an estimate deserves no more."""
    if time_s < _MINUTE_S:
        return f"{time_s:.0f} s"
    if time_s < _HOUR_S:
        return f"{time_s / _MINUTE_S:.0f} min"
    return f"{time_s / _HOUR_S:.1f} h" if time_s < 2 * _DAY_S else f"{time_s / _DAY_S:,.1f} days"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
