"""The driver: runs what is missing of a plan until nothing is left, its time is over, or a person ends it.

It alone writes the ledger. Whoever wants to know (live view, journal, metrics) is an observer and is told after the
ledger is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import EngineDown, in_one_line
from sweep.files.schema_ids import schema_id
from sweep.planning.stage import Plan
from sweep.running.allowance import Allowance, grace_s
from sweep.running.contract import Engine, needs_of
from sweep.running.dispatcher import NO_TIME, Dispatcher
from sweep.running.ledger.event_types import LEDGER_VERSION
from sweep.running.ledger.ledger import Ledger
from sweep.running.machine import Machine
from sweep.running.observer import Observer, Observers
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from sweep.running.resuming import Usable, settled_failures, usable_results
from sweep.running.signals import is_honoured, raise_if_owed

__all__ = ["NO_TIME", "Observer", "RunOptions", "RunResult", "drive"]

_log = logging.getLogger(__name__)
_POLL_S = 0.5


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
    usable = usable_results(plan, ledger, sweep_dir, options)
    _say_what_is_damaged(plan, usable)
    machine = Machine(
        plan,
        needs=needs_of,
        capacity=engine.capacity,
        policy=policy,
        done=usable.done,
        again=usable.damaged,
        failed=settled_failures(ledger, policy, options),
        options=options,
    )
    allowance = Allowance(
        plan,
        ledger.state.done,
        run_s=options.max_seconds,
        cell_s=options.cell_seconds,
        tuners_at_once=engine.capacity.get("tune", 1),
    )
    told = Observers(observers)
    only = {} if options.only is None else {"only": options.only}
    ledger.append(
        f"{options.name}_started",
        t=clock(),
        version=LEDGER_VERSION,
        schema=schema_id("ledger", LEDGER_VERSION),
        conditions=dict(conditions or {}),
        **only,
    )
    carrier = Dispatcher(plan, engine, ledger, told, machine=machine, allowance=allowance, clock=clock)
    status = "interrupted"
    try:
        carrier.begin()
        while not carrier.is_finished:
            raise_if_owed()
            _watch_the_time(carrier, machine, options.max_seconds)
            wait_s = _wait_s(machine, carrier.seconds)
            if not machine.running:
                time.sleep(wait_s)  # everything that is left waits for its retry
            try:
                carrier.turn(engine.poll(wait_s))
            except EngineDown as error:  # the next run does what is left
                carrier.stop(in_one_line(error))
                carrier.give_up_what_runs()
            told.tick(time.monotonic())
        status = "stopped" if carrier.skipped else "failed" if carrier.any_failed else "done"
    except KeyboardInterrupt:
        is_honoured()
        status = "interrupted"
    finally:
        reason = {} if status != "stopped" else {"reason": carrier.skipped}
        ledger.append(f"{options.name}_ended", t=clock(), status=status, executed=carrier.executed, **reason)
    return RunResult(status, carrier.executed, carrier.skipped, carrier.cut_short)


def _say_what_is_damaged(plan: Plan, usable: Usable) -> None:
    for stage_id, reason in usable.damaged.items():
        _log.warning("%s: %s is made again", reason, plan.stages[stage_id].label)
    if usable.unchecked:
        _log.warning("%d artifacts of an earlier version have no checksums: taken as they are", usable.unchecked)


def _watch_the_time(carrier: Dispatcher, machine: Machine, max_seconds: float | None) -> None:
    if max_seconds is None or carrier.seconds <= max_seconds:
        return
    if machine.stopped is None:
        carrier.stop(NO_TIME)
    elif machine.running and carrier.seconds > max_seconds + grace_s(max_seconds):
        carrier.give_up_what_runs()


def _wait_s(machine: Machine, now_s: float) -> float:
    due_s = machine.next_due_t
    return _POLL_S if due_s is None else min(_POLL_S, max(0.0, due_s - now_s))
