"""What tuning a lowered network results in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["TuneResult", "TunedTask"]


@dataclass(frozen=True, slots=True)
class TunedTask(JsonRecord):
    """A task as tuning has left it."""

    workload: str = ""
    name: str = ""
    weight: int = 1
    trivial: bool | None = None
    flops: float | None = None
    """Floating-point operations of one call."""
    trials: int = 0
    """In all runs of the sweep."""
    valid: int = 0
    best_s: float | None = None
    """Of the schedule that the build takes; None while no trial is valid."""
    screening_s: float | None = None
    """The least time among the trials, before the best ones were measured again."""
    gap: float | None = None
    """Share by which the second measurement of the best was longer."""
    near_here: int | None = None
    """Trials until one was near the best."""
    near_elsewhere: int | None = None
    """The same in the sweep that a warm start comes from."""
    reused: bool | None = None
    """Whether all of it was tuned before, or for another network."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Trials by error class."""


@dataclass(frozen=True, slots=True)
class TuneResult(StageResult):
    """What tuning a lowered network has come to. Trials and seconds are those booked on it, not its whole pool's."""

    is_cut_short: bool = False
    records_dir: str = ""
    """Of the pool, relative to the sweep directory."""
    trials: int | None = None
    valid: int | None = None
    failed: Mapping[str, int] | None = None
    """Trials by error class."""
    tasks: tuple[TunedTask, ...] = many(TunedTask)
    naive_trials: int | None = seldom()
    """Trials that tuning this network alone would have taken."""
    warm_started: int | None = seldom()
    """Trials whose schedules other sweeps gave."""
    search_s: float | None = seldom()
    build_s: float | None = seldom()
    measure_s: float | None = seldom()
    validate_s: float | None = seldom()
    tuning_s: float | None = None
    """From its start to its end; the others are parts, of several networks side by side."""
    utilisation: Mapping[str, float] | None = seldom()
    """Share of the time in which search, builders and device worked."""
    curve: Sequence[Sequence[float]] = ()
    """Trial of the pool, seconds, and the latency that was estimated then, in seconds."""
    measured: Sequence[Sequence[float]] = seldom(())
    """The same of the whole network, built of the schedules that there were by that trial: a coarse answer early."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(trials=64, valid=64, failed={}, tuning_s=seconds)

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"trials": self.trials, "valid": self.valid}

    @property
    def files_dir(self) -> str | None:
        return self.records_dir or None

    @property
    def has_tried_nothing(self) -> bool:
        """Whether there is no schedule at all: built with that, a cell would be an untuned one by another name."""
        return bool(self.tasks) and not any(task.valid for task in self.tasks)
