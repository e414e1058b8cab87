"""Performs the stages of an overlay: the same driver, ledger and engines as for those of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sweep import errors
from sweep.errors import StudyError, SweepError
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.running.contract import Engine
from sweep.running.driver import drive
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.resuming import usable_results
from sweep.running.signals import uninterrupted
from sweep.study.spec import Cell

__all__ = ["Failure", "Keep", "StageRunner", "Watcher", "Work"]

_OPTIONS = RunOptions(retry_failed=True, name="overlay")
"""What failed in an earlier overlay is tried again: the command has no option that asks for it."""

Keep = Callable[[Stage, StageResult], Sequence[str]]
"""Takes the result of a stage; says of what failed in it why."""


class Watcher(Protocol):
    """Is told how far the work is."""

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        """So much is to do on each device."""

    def done(self, device: str, failed: str | None = None) -> None:
        """One of these has ended; `failed` says why it gave no time."""

    def tick(self) -> None:
        """Time has passed."""


@dataclass(frozen=True, slots=True)
class Work:
    """A stage, and for which device it is."""

    stage: Stage
    device: str
    inputs: Sequence[Stage] = ()
    """Stages that it rests on, inputs first: those of the sweep, or others of this overlay."""
    units: int = 1
    """As what it counts where progress is shown: candidates, blocks."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a stage ended that has no result."""

    error_class: str
    error: str

    def __str__(self) -> str:
        return f"{self.error_class}: {self.error}"

    def as_error(self) -> SweepError:
        """As an error to raise."""
        kind = getattr(errors, self.error_class, SweepError)
        return kind(self.error) if issubclass(kind, SweepError) else SweepError(str(self))


class StageRunner:
    """Performs stages on an engine, which comes up with the first one that is missing."""

    def __init__(
        self,
        home: Path,
        study: str,
        ledger: Ledger,
        cells: Mapping[str, Cell],
        engine: Callable[[], Engine],
        watcher: Watcher,
    ) -> None:
        """`home`: the sweep directory. `cells`: a cell of each device, which its stages are of."""
        self._home, self._study, self._ledger, self._cells = home, study, ledger, cells
        self._engine, self._watcher = engine, watcher

    def perform(self, what: str, work: Sequence[Work], keep: Keep) -> Mapping[str, Failure]:
        """Perform what is missing, and have the result of each kept; of those that were done before at once.

        Returns how those have failed that did, by stage. Raises KeyboardInterrupt where a person has ended it, and
        StudyError where it rests on a damaged file of the sweep.
        """
        plan = self._plan(work)
        usable = usable_results(plan, self._ledger, self._home, _OPTIONS)
        self._check(plan, usable.damaged)
        done = usable.done
        missing = []
        for each in work:
            if each.stage.id in done:
                with uninterrupted():
                    keep(each.stage, self._ledger.state.done[each.stage.id].result)
            else:
                missing.append(each)
        if not missing:
            return {}
        total: Counter[str] = Counter()
        for each in missing:
            total[each.device] += each.units
        self._watcher.begin(what, total)
        keeper = _Keeper({each.stage.id: each for each in missing}, keep, self._watcher)
        ended = drive(
            self._plan(missing),
            self._engine(),
            self._ledger,
            self._home,
            observers=[keeper],
            options=_OPTIONS,
        )
        if ended.status == "interrupted":
            raise KeyboardInterrupt
        return keeper.failures

    def _check(self, plan: Plan, damaged: Mapping[str, str]) -> None:
        """What the sweep has made, its plan tells too little of to make it again here."""
        reasons = (reason for stage_id, reason in damaged.items() if not plan.stages[stage_id].options)
        if (reason := next(reasons, None)) is not None:
            allowed = "`sweep run` of its study again, which makes it anew, then this"
            raise StudyError(f"rests on a damaged file: {reason}", key="DIR", value=str(self._home), allowed=allowed)

    def _plan(self, work: Sequence[Work]) -> Plan:
        stages = {stage.id: stage for each in work for stage in (*each.inputs, each.stage)}
        cells = [PlannedCell(self._cells[each.device], (each.stage.id,)) for each in work]
        return Plan(self._study, cells, stages, naive={})


@dataclass(slots=True)
class _Keeper:
    """An observer that has results kept, and tells the watcher."""

    work: Mapping[str, Work]
    """By stage."""
    keep: Keep
    watcher: Watcher
    failures: dict[str, Failure] = field(default_factory=dict)

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        pass

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        if stage.id in self.work:
            with uninterrupted():
                failures = self.keep(stage, result)
            self._show(self.work[stage.id], failures)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        if not will_retry and stage.id in self.work:
            self.failures[stage.id] = failure = Failure(error_class, error)
            self._show(self.work[stage.id], [str(failure)] * self.work[stage.id].units)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        pass

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        pass

    def tick(self, now: float) -> None:
        self.watcher.tick()

    def _show(self, work: Work, failures: Sequence[str]) -> None:
        for number in range(work.units):
            self.watcher.done(work.device, failures[number] if number < len(failures) else None)
