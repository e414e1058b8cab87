"""Carries what happens in a run between the engine, the machine, the ledger and the observers.

All that the engine reports at once is one turn: the machine decides what follows, the ledger takes all of it in one
write, and only then are the engine and the observers told. Knows no loop and does not wait.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from sweep.errors import CellTimeout, cut_to_length
from sweep.planning.kinds import inputs_by_role, kind_of, place_of
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.redaction import redacted
from sweep.running.allowance import Allowance, Allowed
from sweep.running.contract import Attempt, Done, Engine, Failed, Progress, Report
from sweep.running.events import (
    AttemptFailed,
    AuditCell,
    CellSettled,
    Drop,
    Event,
    Finish,
    NetworkTimed,
    Skip,
    SkipCell,
    StageDone,
    StageState,
    Start,
    Stop,
    Tick,
)
from sweep.running.ledger.ledger import EventRefused, Ledger
from sweep.running.machine import Machine
from sweep.running.observer import Observer

__all__ = ["NO_TIME", "Dispatcher"]

NO_TIME = "no time left"
"""Why cells are skipped when a run's time is over."""


class Dispatcher:
    """Dispatches the turns of one run, which begins with this object. `clock`: Unix seconds, for the ledger."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        ledger: Ledger,
        observers: Observer,
        *,
        machine: Machine,
        allowance: Allowance,
        clock: Callable[[], float],
    ) -> None:
        self._plan, self._engine, self._ledger, self._observers = plan, engine, ledger, observers
        self._machine, self._allowance, self._clock = machine, allowance, clock
        self._begun = time.monotonic()
        self.executed = 0
        """Attempts that have ended."""
        self.cut_short = 0
        """Tune stages that ended for want of the run's time."""
        self.is_finished = self.any_failed = False
        self.skipped: str | None = None
        """Why cells have no answer that did not fail."""
        self._not_admitted: set[int] = set()
        """Cells that were not worth their work."""
        self._allowed: dict[str, Allowed] = {}
        """Of the attempts under way."""
        self._later: list[Callable[[], None]] = []
        """What engine and observers are to be told when the ledger has it."""

    @property
    def seconds(self) -> float:
        """Since the run began: the machine's time, which nobody sets back."""
        return time.monotonic() - self._begun

    def begin(self) -> None:
        """Tell what earlier runs have settled, and start what can be."""
        with self._ledger.together():
            self._handle(Tick(self.seconds), is_earlier=True)
        self._tell()

    def turn(self, reports: Iterable[Report]) -> None:
        """Take what the engine has reported, and start what follows from it.

        Raises:
            LedgerUnwritable: the disk refused; nobody was told of any of it.
        """
        with self._ledger.together():
            for report in reports:
                self._take(report)
            self._handle(Tick(self.seconds))
        self._tell()

    def stop(self, reason: str) -> None:
        """Start nothing more; what runs may end."""
        self._handle(Stop(reason, self.seconds))
        self._tell()

    def give_up_what_runs(self) -> None:
        """Its time is over: it is made again by the next run."""
        self.is_finished, self.skipped = True, self._machine.stopped

    # -- reports ------------------------------------------------------------------------------------------------------

    def _take(self, report: Report) -> None:
        stage = self._plan.stages[report.stage_id]
        match report:
            case Progress():
                self._later.append(partial(self._observers.progress, stage, report.info))
                if "measured_s" in report.info:
                    self._handle(NetworkTimed(stage.id, self.seconds))
            case Failed():
                self._take_failure(report, stage)
            case Done():
                self._take_result(report, stage)

    def _take_result(self, report: Done, stage: Stage) -> None:
        allowed = self._allowed.pop(stage.id, None)
        is_cut_short = allowed is not None and allowed.by_run and report.result.is_cut_short
        if is_cut_short and isinstance(report.result, TuneResult) and report.result.has_tried_nothing:
            self._allowance.ended(stage)
            self._append("attempt_dropped", stage, reason=NO_TIME)
            self._handle(Drop(stage.id, NO_TIME, self.seconds))
            return
        try:
            self._append(
                "stage_done",
                stage,
                attempt=report.attempt,
                result=report.result.to_json(),
                seconds=report.seconds,
                worker=report.worker,
                **({"cut_short": True} if is_cut_short else {}),
            )
        except EventRefused as error:  # of this stage alone: the others go on
            failure = kind_of(stage).error_class, str(error), report.seconds, report.worker
            self._take_failure(Failed(stage.id, report.attempt, *failure), stage)
            return
        self._allowance.ended(stage, report.seconds)
        self.executed += 1
        self.cut_short += is_cut_short
        self._later.append(partial(self._observers.stage_done, stage, report.result, report.seconds))
        self._handle(StageDone(stage.id, self.seconds, report.result))

    def _take_failure(self, report: Failed, stage: Stage) -> None:
        allowed = self._allowed.pop(stage.id, None)
        limit_s = None if allowed is None else allowed.seconds
        if limit_s is not None and place_of(stage) is not Place.TUNER and report.seconds >= limit_s:
            told = f"{stage.kind} took longer than the {limit_s:.0f} s left of budget.cell_minutes: {report.error}"
            report = replace(report, error_class=CellTimeout.__name__, error=told)
        # What a library or a person's own code says may quote a URI with its login
        report = replace(report, error=redacted(report.error), traceback=redacted(report.traceback))
        will_retry = self._machine.would_retry(stage.id, report.error_class)
        if not will_retry:
            self._allowance.ended(stage)
        self._note_failure(report, stage, will_retry)
        self._handle(AttemptFailed(stage.id, report.error_class, self.seconds))

    def _note_failure(self, report: Failed, stage: Stage, will_retry: bool) -> None:
        cell_s = self._allowance.cell_s if report.error_class == CellTimeout.__name__ else None
        self.executed += 1
        self._append(
            "attempt_failed",
            stage,
            attempt=report.attempt,
            error_class=report.error_class,
            error=cut_to_length(report.error),
            traceback=cut_to_length(report.traceback),
            seconds=report.seconds,
            worker=report.worker,
            retry=will_retry,
            **({} if cell_s is None else {"limit_s": cell_s}),
        )
        self._later.append(partial(self._observers.attempt_failed, stage, report.error_class, report.error, will_retry))

    # -- decisions ----------------------------------------------------------------------------------------------------

    def _handle(self, event: Event, *, is_earlier: bool = False) -> None:
        """Let the machine decide. `is_earlier`: what it says is settled by this, an earlier run has settled."""
        events = deque([event])
        while events:
            one = events.popleft()
            for instruction in self._machine.handle(one):
                match instruction:
                    case Start(stage_id):
                        refused = self._start(self._plan.stages[stage_id])
                        if refused is not None:
                            events.append(refused)
                    case SkipCell(cell, reason, predicted):
                        self._not_admitted.add(cell)
                        more = {} if predicted is None else {"predicted": predicted.to_json()}
                        self._note_of_cell("cell_skipped", cell, reason=reason, **more)
                    case AuditCell(cell, predicted):
                        self._note_of_cell("cell_audited", cell, predicted=predicted.to_json())
                    case CellSettled(cell, state):
                        self._note(cell, state)
                        self._later.append(partial(self._observers.cell_settled, cell, is_earlier and one is event))
                    case Finish():
                        self.is_finished = True
                    case Skip():
                        pass  # follows from the plan and from what failed

    def _start(self, stage: Stage) -> Event | None:
        """Have an attempt begun; where there is no time for it, what the machine is to be told."""
        allowed = self._allowance.of(stage, self.seconds)
        number = self._ledger.state.attempts_of(stage.id) + 1
        if allowed.seconds is not None and allowed.seconds <= 0:
            self._allowance.ended(stage)
            if allowed.by_run:
                return Drop(stage.id, NO_TIME, self.seconds)
            error = "the work before it took all of budget.cell_minutes"
            self._note_failure(Failed(stage.id, number, CellTimeout.__name__, error, 0.0, ""), stage, False)
            return AttemptFailed(stage.id, CellTimeout.__name__, self.seconds)
        self._allowed[stage.id] = allowed
        self._append("attempt_started", stage, attempt=number)
        self._later.append(partial(self._begin, stage, number, allowed.seconds))
        return None

    def _begin(self, stage: Stage, number: int, limit_s: float | None) -> None:
        done = self._ledger.state.done
        roles = inputs_by_role(stage, self._plan.stages)
        inputs = {role: done[need].result for role, need in roles.items()}
        self._observers.attempt_started(stage, number)
        self._engine.start(Attempt(stage, number, inputs, limit_s))

    def _note(self, cell: int, state: StageState) -> None:
        if state is StageState.DONE or cell in self._not_admitted:
            return
        for goal in self._plan.cells[cell].goals:
            if self._machine.state(goal) is StageState.DONE:
                continue
            cause = self._machine.root_cause(goal)
            if self._machine.state(goal) is StageState.FAILED or cause is None or cause in self._plan.stages:
                self.any_failed = True
            elif goal not in self._ledger.state.done:  # else it keeps its coarse answer
                self.skipped = cause

    def _append(self, event: str, stage: Stage, **fields: Any) -> None:
        self._ledger.append(event, t=self._clock(), stage=stage.id, kind=stage.kind, **fields)

    def _note_of_cell(self, event: str, cell: int, **fields: Any) -> None:
        self._ledger.append(event, t=self._clock(), cell=self._plan.cells[cell].cell.id, **fields)

    def _tell(self) -> None:
        later, self._later = self._later, []
        for act in later:
            act()
