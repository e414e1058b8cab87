"""The driver: carries events between the machine, the engine and the ledger.

It alone writes the ledger. Whoever wants to know (live view, MLflow) is an observer and is told after the ledger is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sweep.errors import CellTimeout
from sweep.planning.planner import Plan
from sweep.planning.stage import Stage
from sweep.running import machine as m
from sweep.running.allowance import Allowance, Allowed, grace_s
from sweep.running.contract import Attempt, Done, Engine, Failed, Progress, needs_of
from sweep.running.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from sweep.running.resuming import settled_failures, usable_results
from sweep.running.signals import is_honoured, raise_if_owed

__all__ = ["NO_TIME", "Observer", "RunOptions", "RunResult", "drive"]

_POLL_S = 0.5
NO_TIME = "no time left"
"""Why cells are skipped when a run's time is over."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; the results are in the ledger."""

    status: str
    """done, failed (some cells), stopped (cells skipped: no time left, fail-fast) or interrupted."""
    executed: int
    """Attempts that ended in this run."""
    stopped: str | None = None
    """Why cells were skipped."""
    cut_short: int = 0
    """Tune stages that ended for want of the run's time; another run goes on with them."""


class Observer(Protocol):
    """Is told what has happened, after the ledger has it."""

    def attempt_started(self, stage: Stage, attempt: int) -> None: ...
    def stage_done(self, stage: Stage, result: Mapping[str, Any], seconds: float) -> None: ...
    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None: ...
    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None: ...
    def cell_settled(self, cell: int, from_earlier_run: bool) -> None: ...
    def tick(self, now: float) -> None: ...


class _Driver:
    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        observers: Sequence[Observer],
        machine: m.Machine,
        allowance: Allowance,
        clock: Callable[[], float],
    ) -> None:
        self.plan, self.ledger, self.observers, self.machine, self.clock = plan, ledger, observers, machine, clock
        self.allowance = allowance
        self.begun = time.monotonic()
        self.executed = self.cut_short = 0
        self.finished = False
        self.any_failed = False
        self.skipped: str | None = None
        """Why cells have no answer that did not fail."""
        self._allowed: dict[str, Allowed] = {}
        """Of the attempts under way."""

    @property
    def seconds(self) -> float:
        """Since the run began: the machine's time, which nobody sets back."""
        return time.monotonic() - self.begun

    def tell(self, event: m.Event, engine: Engine) -> None:
        earlier = self.executed == 0 and isinstance(event, m.Tick)
        events = deque([event])
        while events:
            for instruction in self.machine.handle(events.popleft()):
                match instruction:
                    case m.Start(stage_id):
                        refused = self._start(stage_id, engine)
                        if refused is not None:
                            events.append(refused)
                    case m.CellSettled(cell, state):
                        self._note(cell, state)
                        for observer in self.observers:
                            observer.cell_settled(cell, earlier)
                    case m.Finish():
                        self.finished = True
                    case m.Skip():
                        pass  # follows from the plan and from what failed

    def give_up_what_runs(self) -> None:
        """Its time is over: it is made again by the next run."""
        self.finished, self.skipped = True, self.machine.stopped

    def take(self, report: Done | Failed | Progress, engine: Engine) -> None:
        stage = self.plan.stages[report.stage_id]
        now = self.clock()
        if isinstance(report, Progress):
            for observer in self.observers:
                observer.progress(stage, report.info)
            return
        if isinstance(report, Failed):
            self._take_failure(report, stage, now, engine)
            return
        allowed = self._allowed.pop(stage.id, None)
        cut_short = {}
        if stage.kind == "tune":
            self.allowance.ended(stage)
            if allowed is not None and allowed.by_run and report.result.get("is_cut_short"):
                if _has_tried_nothing(report.result):
                    self.ledger.append("attempt_dropped", t=now, stage=stage.id, kind=stage.kind, reason=NO_TIME)
                    self.tell(m.Drop(stage.id, NO_TIME, now), engine)
                    return
                cut_short["cut_short"] = True
                self.cut_short += 1
        self.ledger.append(
            "stage_done",
            t=now,
            stage=stage.id,
            kind=stage.kind,
            attempt=report.attempt,
            result=report.result,
            seconds=report.seconds,
            worker=report.worker,
            **cut_short,
        )
        self.executed += 1
        for observer in self.observers:
            observer.stage_done(stage, report.result, report.seconds)
        self.tell(m.StageDone(stage.id, self.seconds), engine)

    def _take_failure(self, report: Failed, stage: Stage, now: float, engine: Engine) -> None:
        limit_s = self._limit_of(stage)
        if limit_s is not None and stage.kind != "tune" and report.seconds >= limit_s:
            told = f"{stage.kind} took longer than the {limit_s:.0f} s left of budget.cell_minutes: {report.error}"
            report = replace(report, error_class=CellTimeout.__name__, error=told)
        self._allowed.pop(stage.id, None)
        will_retry = self.machine.would_retry(stage.id, report.error_class)
        if not will_retry:
            self.allowance.ended(stage)
        self._append_failure(report, stage, now, will_retry)
        self.tell(m.AttemptFailed(stage.id, report.error_class, self.seconds), engine)

    def _append_failure(self, report: Failed, stage: Stage, now: float, will_retry: bool) -> None:
        cell_s = self.allowance.cell_s if report.error_class == CellTimeout.__name__ else None
        self.ledger.append(
            "attempt_failed",
            t=now,
            stage=stage.id,
            kind=stage.kind,
            attempt=report.attempt,
            error_class=report.error_class,
            error=report.error,
            traceback=report.traceback,
            seconds=report.seconds,
            worker=report.worker,
            retry=will_retry,
            **({} if cell_s is None else {"limit_s": cell_s}),
        )
        self.executed += 1
        for observer in self.observers:
            observer.attempt_failed(stage, report.error_class, report.error, will_retry)

    def _start(self, stage_id: str, engine: Engine) -> m.Event | None:
        """Begin an attempt; where there is no time for it, what the machine is to be told."""
        stage, now = self.plan.stages[stage_id], self.clock()
        allowed = self.allowance.of(stage, self.seconds)
        number = self.ledger.state.attempts.get(stage_id, 0) + 1
        if allowed.seconds is not None and allowed.seconds <= 0:
            self.allowance.ended(stage)
            if allowed.by_run:
                return m.Drop(stage_id, NO_TIME, self.seconds)
            error = "the work before it took all of budget.cell_minutes"
            self._append_failure(Failed(stage_id, number, CellTimeout.__name__, error, 0.0, ""), stage, now, False)
            return m.AttemptFailed(stage_id, CellTimeout.__name__, self.seconds)
        self._allowed[stage_id] = allowed
        done = self.ledger.state.done
        inputs = {self.plan.stages[need].kind: done[need].result for need in stage.inputs}
        self.ledger.append("attempt_started", t=now, stage=stage_id, kind=stage.kind, attempt=number)
        for observer in self.observers:
            observer.attempt_started(stage, number)
        engine.start(Attempt(stage, number, inputs, allowed.seconds))
        return None

    def _limit_of(self, stage: Stage) -> float | None:
        allowed = self._allowed.get(stage.id)
        return None if allowed is None else allowed.seconds

    def _note(self, cell: int, state: m.StageState) -> None:
        if state is m.StageState.DONE:
            return
        cause = self.machine.root_cause(self.plan.cells[cell].stages[-1])
        if state is m.StageState.SKIPPED and cause is not None and cause not in self.plan.stages:
            if self.plan.cells[cell].stages[-1] not in self.ledger.state.done:  # else it keeps its coarse answer
                self.skipped = cause
        else:
            self.any_failed = True


def drive(
    plan: Plan,
    engine: Engine,
    ledger: Ledger,
    sweep_dir: Path,
    *,
    observers: Sequence[Observer] = (),
    options: RunOptions | None = None,
    policy: RetryPolicy | None = None,
    conditions: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> RunResult:
    """Run all that is missing of a plan.

    A KeyboardInterrupt ends the run: what is in the ledger stays, attempts under way are given up and made again by the
    next run. The engine is not closed here. `clock`: Unix seconds, for the ledger; nothing is decided by it.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    options, policy = options or RunOptions(), policy or RetryPolicy()
    machine = m.Machine(
        plan,
        needs=needs_of,
        capacity=engine.capacity,
        policy=policy,
        done=usable_results(plan, ledger, sweep_dir, options),
        failed=settled_failures(ledger, policy, options),
        fail_fast=options.fail_fast,
    )
    allowance = Allowance(
        plan,
        ledger.state.done,
        run_s=options.max_seconds,
        cell_s=options.cell_seconds,
        tuners_at_once=engine.capacity.get("tune", 1),
    )
    driver = _Driver(plan, ledger, observers, machine, allowance, clock)
    only = {} if options.only is None else {"only": options.only}
    ledger.append("run_started", t=clock(), conditions=dict(conditions or {}), **only)
    status = "interrupted"
    try:
        driver.tell(m.Tick(driver.seconds), engine)
        while not driver.finished:
            raise_if_owed()
            _watch_the_time(driver, options.max_seconds, engine)
            wait_s = _wait_s(machine, driver.seconds)
            if not machine.running:
                time.sleep(wait_s)  # everything that is left waits for its retry
            for report in engine.poll(wait_s):
                driver.take(report, engine)
            driver.tell(m.Tick(driver.seconds), engine)
            for observer in observers:
                observer.tick(time.monotonic())
        status = "stopped" if driver.skipped else "failed" if driver.any_failed else "done"
    except KeyboardInterrupt:
        is_honoured()
        status = "interrupted"
    finally:
        reason = {} if status != "stopped" else {"reason": driver.skipped}
        ledger.append("run_ended", t=clock(), status=status, executed=driver.executed, **reason)
    return RunResult(status, driver.executed, driver.skipped, driver.cut_short)


def _has_tried_nothing(result: Mapping[str, Any]) -> bool:
    """Whether a tuner has no schedule at all: built with that, a cell would be an untuned one by another name."""
    tasks = result.get("tasks") or ()
    return bool(tasks) and not any(task["valid"] for task in tasks)


def _watch_the_time(driver: _Driver, max_seconds: float | None, engine: Engine) -> None:
    if max_seconds is None or driver.seconds <= max_seconds:
        return
    if driver.machine.stopped is None:
        driver.tell(m.Stop(NO_TIME, driver.seconds), engine)
    elif driver.machine.running and driver.seconds > max_seconds + grace_s(max_seconds):
        driver.give_up_what_runs()


def _wait_s(machine: m.Machine, now: float) -> float:
    due = machine.next_due_t
    return _POLL_S if due is None else min(_POLL_S, max(0.0, due - now))
