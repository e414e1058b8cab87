"""The state machine of stages: events in, instructions out.

It knows no clock (time arrives in the event), no I/O, no engine and no TVM. Each stage is in exactly one state:

    waiting -> ready -> running -> done
                 ^         |-> delayed (failed, to be tried again at a time) -> ready
                 |         |-> failed
    waiting/ready -> skipped (something it needs failed, or the run is ending)

A cell is settled when its last stage is done, failed or skipped.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field

from sweep.errors import PlanError
from sweep.planning.stage import Plan, Stage
from sweep.running.events import (
    FINAL,
    AttemptFailed,
    CellSettled,
    Drop,
    Event,
    Finish,
    Instruction,
    Skip,
    StageDone,
    StageState,
    Start,
    Stop,
    Tick,
)
from sweep.running.policy import GiveUp, RetryPolicy
from sweep.running.slots import Need, Slots

__all__ = ["Machine"]


@dataclass(slots=True)
class _Node:
    stage: Stage
    order: int
    needs: tuple[Need, ...]
    missing: int
    state: StageState = StageState.WAITING
    failures: int = 0
    root_cause: str | None = None
    dependents: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)


class Machine:
    """Decides what to start next.

    `done` and `failed` name the stages that the ledger already holds a final answer for; `needs` tells which slots a
    stage holds while it runs and `capacity` how many of each there are (1 where it does not say).
    """

    def __init__(
        self,
        plan: Plan,
        *,
        needs: Callable[[Stage], tuple[Need, ...]],
        capacity: Mapping[str, int],
        policy: RetryPolicy | None = None,
        done: Container[str] = (),
        failed: Iterable[str] = (),
        fail_fast: bool = False,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._slots = Slots(capacity)
        self._fail_fast = fail_fast
        self._stopped: str | None = None
        self._finished = False
        self._open = 0
        self._running: set[str] = set()
        self._ready: dict[tuple[Need, ...], list[tuple[int, str]]] = {}
        self._delayed: list[tuple[float, int, str]] = []
        self._nodes: dict[str, _Node] = {}
        self._pending: list[Instruction] = []
        self._build(plan, needs, done)
        for stage_id in failed:
            if stage_id in self._nodes and self._nodes[stage_id].state not in FINAL:
                self._settle(self._nodes[stage_id], StageState.FAILED, stage_id)

    def _build(self, plan: Plan, needs: Callable[[Stage], tuple[Need, ...]], done: Container[str]) -> None:
        for order, stage in enumerate(plan.stages.values()):
            for need in stage.inputs:
                if need not in self._nodes:
                    raise PlanError(f"stage {stage.label} ({stage.id}) comes before its input {need}")
            self._nodes[stage.id] = _Node(stage, order, needs(stage), missing=0)
        for index, planned in enumerate(plan.cells):
            self._nodes[planned.stages[-1]].cells.append(index)
        self._open = len(self._nodes)
        # A stage whose dependents are all done is not needed again even if its own result is not in the ledger
        wanted = {planned.stages[-1] for planned in plan.cells}
        for node in reversed(self._nodes.values()):
            if node.stage.id in wanted and node.stage.id not in done:
                wanted.update(node.stage.inputs)
        for node in self._nodes.values():
            if node.stage.id in done or node.stage.id not in wanted:
                node.state = StageState.DONE
                self._open -= 1
                self._pending.extend(CellSettled(cell, StageState.DONE) for cell in node.cells)
                continue
            for need in node.stage.inputs:
                upstream = self._nodes[need]
                if upstream.state is not StageState.DONE:
                    upstream.dependents.append(node.stage.id)
                    node.missing += 1
            if node.missing == 0:
                self._make_ready(node)

    # -- what others may ask ------------------------------------------------------------------------------------------

    def state(self, stage_id: str) -> StageState:
        """The state of a stage."""
        return self._nodes[stage_id].state

    def root_cause(self, stage_id: str) -> str | None:
        """For a failed or skipped stage: the stage whose failure is the reason, or why the run stopped."""
        return self._nodes[stage_id].root_cause

    @property
    def running(self) -> frozenset[str]:
        """Ids of the stages that run now."""
        return frozenset(self._running)

    @property
    def next_due_t(self) -> float | None:
        """When the next delayed stage may be tried again."""
        return self._delayed[0][0] if self._delayed else None

    @property
    def stopped(self) -> str | None:
        """Why nothing more is started, when so."""
        return self._stopped

    def would_retry(self, stage_id: str, error_class: str) -> bool:
        """Whether a failure of this class, now, would be followed by another attempt in this run."""
        failures = self._nodes[stage_id].failures + 1
        return self._stopped is None and not isinstance(self._policy.decide(error_class, failures), GiveUp)

    # -- the one entrance ---------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Instruction]:
        """Take one event and say what is to be done.

        Raises PlanError for an event that cannot happen in the stage's state: a bug in an engine or driver.
        """
        match event:
            case StageDone(stage_id):
                self._leave_running(stage_id, event)
                self._settle(self._nodes[stage_id], StageState.DONE, None)
            case AttemptFailed(stage_id, error_class, t):
                self._leave_running(stage_id, event)
                self._fail(self._nodes[stage_id], error_class, t)
            case Tick():
                pass
            case Stop(reason):
                self._stop(reason)
            case Drop(stage_id, reason):
                self._leave_running(stage_id, event)
                self._settle(self._nodes[stage_id], StageState.SKIPPED, reason)
        while self._delayed and self._delayed[0][0] <= event.t and self._stopped is None:
            self._make_ready(self._nodes[heapq.heappop(self._delayed)[2]])
        self._start_ready()
        if not self._running and self._open == 0 and not self._finished:
            self._finished = True
            self._pending.append(Finish())
        instructions, self._pending = self._pending, []
        return instructions

    # -- transitions --------------------------------------------------------------------------------------------------

    def _leave_running(self, stage_id: str, event: Event) -> None:
        node = self._nodes.get(stage_id)
        if node is None or node.state is not StageState.RUNNING:
            state = "unknown" if node is None else node.state
            raise PlanError(f"{event} for a stage that is {state}, not running")
        self._running.discard(stage_id)
        self._slots.release(node.needs)

    def _fail(self, node: _Node, error_class: str, t: float) -> None:
        node.failures += 1
        decision = self._policy.decide(error_class, node.failures)
        if isinstance(decision, GiveUp):
            self._settle(node, StageState.FAILED, node.stage.id)
            if self._fail_fast:
                self._stop(f"fail-fast: {node.stage.label} failed")
        elif self._stopped is not None:
            self._settle(node, StageState.SKIPPED, self._stopped)
        else:
            node.state = StageState.DELAYED
            heapq.heappush(self._delayed, (t + decision.delay_s, node.order, node.stage.id))

    def _settle(self, node: _Node, state: StageState, because: str | None) -> None:
        """Bring a stage into a final state, and with it all that cannot run any more. Iterative: chains may be long."""
        work = [(node, state)]
        while work:
            current, final = work.pop()
            if current.state in FINAL:
                continue
            current.state, current.root_cause = final, because
            self._open -= 1
            self._pending.extend(CellSettled(cell, final) for cell in current.cells)
            if final is StageState.SKIPPED and because is not None:
                self._pending.append(Skip(current.stage.id, because))
            for dependent_id in current.dependents:
                dependent = self._nodes[dependent_id]
                if final is not StageState.DONE:
                    work.append((dependent, StageState.SKIPPED))
                    continue
                dependent.missing -= 1
                if dependent.missing == 0 and dependent.state is StageState.WAITING:
                    self._make_ready(dependent)

    def _stop(self, reason: str) -> None:
        if self._stopped is not None:
            return
        self._stopped = reason
        self._delayed.clear()
        for node in self._nodes.values():
            if node.state not in FINAL and node.state is not StageState.RUNNING:
                self._settle(node, StageState.SKIPPED, reason)

    def _make_ready(self, node: _Node) -> None:
        node.state = StageState.READY
        heapq.heappush(self._ready.setdefault(node.needs, []), (node.order, node.stage.id))

    def _start_ready(self) -> None:
        """Start the first ready stage, in plan order, of each kind of need that has its slots free."""
        for needs in sorted(self._ready, key=lambda key: self._ready[key][:1]):
            queue = self._ready[needs]
            while queue and self._stopped is None and self._slots.has_room(needs):
                node = self._nodes[heapq.heappop(queue)[1]]
                if node.state is not StageState.READY:
                    continue
                node.state = StageState.RUNNING
                self._running.add(node.stage.id)
                self._slots.hold(needs)
                self._pending.append(Start(node.stage.id))
