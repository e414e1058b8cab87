"""The driver: carries events between the machine, the engine and the ledger.

It alone writes the ledger. Whoever wants to know (live view, MLflow) is an observer and is told after the ledger is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sweep.planning.planner import Plan
from sweep.planning.stage import Stage
from sweep.running import machine as m
from sweep.running.contract import Attempt, Done, Engine, Failed, Progress, needs_of
from sweep.running.ledger import Ledger
from sweep.running.policy import RetryPolicy

__all__ = ["Observer", "RunOptions", "RunResult", "drive", "settled_failures", "usable_results"]

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How far a run may go."""

    max_seconds: float | None = None
    fail_fast: bool = False
    retry_failed: bool = False
    """Try stages again that failed for a reason that cannot have changed, and measure again what stayed tainted."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; the results are in the ledger."""

    status: str
    """done, failed (some cells), stopped (no time left, fail-fast) or interrupted."""
    executed: int
    """Attempts that ended in this run."""


class Observer(Protocol):
    """Is told what has happened, after the ledger has it."""

    def attempt_started(self, stage: Stage, attempt: int) -> None: ...
    def stage_done(self, stage: Stage, result: Mapping[str, Any], seconds: float) -> None: ...
    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None: ...
    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None: ...
    def cell_settled(self, cell: int, from_earlier_run: bool) -> None: ...
    def tick(self, now: float) -> None: ...


def usable_results(ledger: Ledger, sweep_dir: Path, options: RunOptions) -> set[str]:
    """Ids of the stages that are done, whose files are still there, and which this run is not to do again."""
    done = set()
    for stage_id, finished in ledger.state.done.items():
        if options.retry_failed and finished.result.get("tainted"):
            continue
        folder = finished.result.get("dir")
        if folder is None or (sweep_dir / folder).is_dir():
            done.add(stage_id)
    return done


def settled_failures(ledger: Ledger, policy: RetryPolicy, options: RunOptions) -> list[str]:
    """Ids of the stages that failed for a reason which another try cannot change."""
    if options.retry_failed:
        return []
    return [stage for stage, failed in ledger.state.failed.items() if not policy.is_transient(failed.error_class)]


class _Driver:
    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        observers: Sequence[Observer],
        machine: m.Machine,
        clock: Callable[[], float],
    ) -> None:
        self.plan, self.ledger, self.observers, self.machine, self.clock = plan, ledger, observers, machine, clock
        self.executed = 0
        self.finished = False
        self.any_failed = False
        self.stopped: str | None = None

    def tell(self, event: m.Event, engine: Engine) -> None:
        earlier = self.executed == 0 and isinstance(event, m.Tick)
        for instruction in self.machine.handle(event):
            match instruction:
                case m.Start(stage_id):
                    self._start(stage_id, engine)
                case m.CellSettled(cell, state):
                    self.any_failed |= state is not m.StageState.DONE
                    for observer in self.observers:
                        observer.cell_settled(cell, earlier)
                case m.Finish():
                    self.finished = True
                case m.Skip():
                    pass  # follows from the plan and from what failed

    def stop(self, reason: str, engine: Engine) -> None:
        self.stopped = self.stopped or reason
        self.tell(m.Stop(reason, self.clock()), engine)

    def take(self, report: Done | Failed | Progress, engine: Engine) -> None:
        stage = self.plan.stages[report.stage_id]
        now = self.clock()
        if isinstance(report, Progress):
            for observer in self.observers:
                observer.progress(stage, report.info)
            return
        if isinstance(report, Done):
            self.ledger.append(
                "stage_done",
                t=now,
                stage=stage.id,
                kind=stage.kind,
                attempt=report.attempt,
                result=report.result,
                seconds=report.seconds,
                worker=report.worker,
            )
            self.executed += 1
            for observer in self.observers:
                observer.stage_done(stage, report.result, report.seconds)
            self.tell(m.StageDone(stage.id, now), engine)
            return
        self._take_failure(report, stage, now, engine)

    def _take_failure(self, report: Failed, stage: Stage, now: float, engine: Engine) -> None:
        will_retry = self.machine.would_retry(stage.id, report.error_class)
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
        )
        self.executed += 1
        for observer in self.observers:
            observer.attempt_failed(stage, report.error_class, report.error, will_retry)
        self.tell(m.AttemptFailed(stage.id, report.error_class, now), engine)

    def _start(self, stage_id: str, engine: Engine) -> None:
        stage = self.plan.stages[stage_id]
        number = self.ledger.state.attempts.get(stage_id, 0) + 1
        done = self.ledger.state.done
        inputs = {self.plan.stages[need].kind: done[need].result for need in stage.inputs}
        self.ledger.append("attempt_started", t=self.clock(), stage=stage_id, kind=stage.kind, attempt=number)
        for observer in self.observers:
            observer.attempt_started(stage, number)
        engine.start(Attempt(stage, number, inputs))


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
    next run. The engine is not closed here.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    options, policy = options or RunOptions(), policy or RetryPolicy()
    machine = m.Machine(
        plan,
        needs=needs_of,
        capacity=engine.capacity,
        policy=policy,
        done=usable_results(ledger, sweep_dir, options),
        failed=settled_failures(ledger, policy, options),
        fail_fast=options.fail_fast,
    )
    driver = _Driver(plan, ledger, observers, machine, clock)
    begun = time.monotonic()
    ledger.append("run_started", t=clock(), conditions=dict(conditions or {}))
    status = "interrupted"
    try:
        driver.tell(m.Tick(clock()), engine)
        while not driver.finished:
            if options.max_seconds is not None and time.monotonic() - begun > options.max_seconds:
                driver.stop("no time left", engine)
            wait_s = _wait_s(machine, clock())
            if not machine.running:
                time.sleep(wait_s)  # everything that is left waits for its retry
            for report in engine.poll(wait_s):
                driver.take(report, engine)
            driver.tell(m.Tick(clock()), engine)
            for observer in observers:
                observer.tick(clock())
        status = "stopped" if machine.stopped else "failed" if driver.any_failed else "done"
    except KeyboardInterrupt:
        status = "interrupted"
    finally:
        ledger.append("run_ended", t=clock(), status=status, executed=driver.executed)
    return RunResult(status, driver.executed)


def _wait_s(machine: m.Machine, now: float) -> float:
    due = machine.next_due_t
    return _POLL_S if due is None else min(_POLL_S, max(0.0, due - now))
