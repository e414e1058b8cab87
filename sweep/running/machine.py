"""The state machine of stages: events in, instructions out.

It knows no clock (time is in the event), no I/O, no engine. Each stage is in exactly one state:

    waiting -> ready -> running -> done
                 ^         |-> delayed (failed, to be tried again at a time) -> ready
                 |         |-> failed
    waiting -> delayed (until the first tuned answer) -> ready
    waiting/ready/delayed -> skipped (something it needs failed, or the run is ending)

A cell is settled when all its goals are (`sweep.running.goals`), or when the admission says that it is not worth more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping

from sweep.errors import PlanError
from sweep.planning.stage import Plan, Stage
from sweep.running.admission import settled_cell, waits_of
from sweep.running.cell_book import CellBook
from sweep.running.delayed_stages import DelayedStages
from sweep.running.events import (
    FINAL,
    AttemptFailed,
    CellSettled,
    Drop,
    Event,
    Finish,
    Instruction,
    NetworkTimed,
    PreferCells,
    Skip,
    SkipCell,
    StageDone,
    StageState,
    Start,
    Stop,
    Tick,
)
from sweep.running.goals import state_of_cell, wanted_stages
from sweep.running.held_goals import HeldGoals
from sweep.running.options import RunOptions
from sweep.running.parties import Parties
from sweep.running.policy import GiveUp, RetryPolicy
from sweep.running.ready_queues import ReadyQueues
from sweep.running.slots import Need, Slots
from sweep.running.stage_node import StageNode

__all__ = ["Machine"]


class Machine:
    """Decides what to start next.

    `done` and `failed` name the stages that the ledger already holds a final answer for; `needs` tells which slots a
    stage holds while it runs and `capacity` how many of each there are (1 where it does not say). `again` names stages
    that are made whether a cell needs them or not. Of the options, `admission` may skip cells, and let some wait for
    others; without it none is skipped. `first` says what waits until one network is tuned.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        needs: Callable[[Stage], tuple[Need, ...]],
        capacity: Mapping[str, int],
        policy: RetryPolicy | None = None,
        done: Container[str] = (),
        again: Iterable[str] = (),
        failed: Iterable[str] = (),
        options: RunOptions | None = None,
    ) -> None:
        self._policy, options = policy or RetryPolicy(), options or RunOptions()
        self._slots = Slots(capacity)
        self._fail_fast, self._admission = options.fail_fast, options.admission
        self._stopped: str | None = None
        self._open, self._finished = 0, False
        self._running: set[str] = set()
        self._nodes: dict[str, StageNode] = {}
        self._ready = ReadyQueues(self._nodes)
        self._parties = Parties(self._nodes, self._slots)
        self._delayed = DelayedStages(self._nodes, options.first)
        self._pending: list[Instruction] = []
        self._cells = CellBook(plan)
        self._held = HeldGoals(waits_of(options.admission))
        self._unheard: deque[tuple[int, StageState]] = deque()
        """Settled cells that the admission has not heard of."""
        self._build(plan, needs, done, again)
        for stage_id in failed:
            if stage_id in self._nodes and self._nodes[stage_id].state not in FINAL:
                self._settle(self._nodes[stage_id], StageState.FAILED, stage_id)

    def _build(
        self, plan: Plan, needs: Callable[[Stage], tuple[Need, ...]], done: Container[str], again: Iterable[str]
    ) -> None:
        for order, stage in enumerate(plan.stages.values()):
            for need in stage.inputs:
                if need not in self._nodes:
                    raise PlanError(f"stage {stage.label} ({stage.id}) comes before its input {need}")
            self._nodes[stage.id] = StageNode(stage, order, needs(stage))
        self._open = len(self._nodes)
        wanted = wanted_stages(plan, self._nodes, done, again)
        for node in self._nodes.values():
            if node.stage.id in done or node.stage.id not in wanted:
                node.state = StageState.DONE
                self._open -= 1
                self._reached_goal(node)
                continue
            for need in node.stage.inputs:
                upstream = self._nodes[need]
                if upstream.state is not StageState.DONE:
                    upstream.dependents.append(node.stage.id)
                    node.missing += 1
            if node.missing == 0:
                self._make_ready(node)
        self._held.hold(self._nodes, self._cells.is_settled)

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
        return self._delayed.next_due_t

    @property
    def stopped(self) -> str | None:
        """Why nothing more is started, when so."""
        return self._stopped

    def would_retry(self, stage_id: str, error_class: str) -> bool:
        """Whether a failure of this class, now, would be followed by another attempt in this run."""
        failures = self._nodes[stage_id].failures[error_class] + 1
        return self._stopped is None and not isinstance(self._policy.decide(error_class, failures), GiveUp)

    # -- the one entrance ---------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Instruction]:
        """Take one event and say what is to be done.

        Raises PlanError for an event that cannot happen in the stage's state: a bug in an engine or driver.
        """
        match event:
            case StageDone(stage_id, _, result):
                node = self._leave_running(stage_id, event, "done")
                if self._admission is not None and node.cells:
                    node.result = result
                self._settle(node, StageState.DONE, None)
            case AttemptFailed(stage_id, error_class, t):
                node = self._leave_running(stage_id, event, f"failed ({error_class})")
                node.error_class = error_class
                self._fail(node, error_class, t)
            case Tick():
                pass
            case NetworkTimed(stage_id):
                self._delayed.release(stage_id)
            case Stop(reason):
                self._stop(reason)
            case Drop(stage_id, reason):
                node = self._leave_running(stage_id, event, f"dropped ({reason})")
                self._settle(node, StageState.SKIPPED, reason)
        self._ask_admission()
        for node in self._delayed.due(event.t):
            self._make_ready(node)
        self._start_ready(event.t)
        if not self._running and self._open == 0 and not self._finished:
            self._finished = True
            self._pending.append(Finish())
        instructions, self._pending = self._pending, []
        return instructions

    # -- transitions --------------------------------------------------------------------------------------------------

    def _leave_running(self, stage_id: str, event: Event, what: str) -> StageNode:
        node = self._nodes.get(stage_id)
        if node is None:
            raise PlanError(f"{event} for a stage that the plan does not have")
        if node.state is not StageState.RUNNING:
            raise PlanError(f"{event} for a stage that is not running; {node.story}")
        self._running.discard(stage_id)
        self._slots.release(node.needs)
        node.note(event.t, what)
        return node

    def _fail(self, node: StageNode, error_class: str, t: float) -> None:
        node.failures[error_class] += 1
        decision = self._policy.decide(error_class, node.failures[error_class])
        if isinstance(decision, GiveUp):
            self._settle(node, StageState.FAILED, node.stage.id)
            if self._fail_fast:
                self._stop(f"fail-fast: {node.stage.label} failed")
        elif self._stopped is not None:
            self._settle(node, StageState.SKIPPED, self._stopped)
        else:
            self._delayed.add(node, t + decision.delay_s)

    def _settle(self, node: StageNode, state: StageState, because: str | None) -> None:
        """Bring a stage into a final state, and with it all that cannot run any more. Iterative: chains may be long."""
        work = [(node, state)]
        while work:
            current, final = work.pop()
            if current.state in FINAL:
                continue
            current.state, current.root_cause = final, because
            self._open -= 1
            self._reached_goal(current)
            if final is StageState.SKIPPED and because is not None:
                self._pending.append(Skip(current.stage.id, because))
            for dependent_id in current.dependents:
                dependent = self._nodes[dependent_id]
                if final is not StageState.DONE:
                    work.append((dependent, StageState.SKIPPED))
                    continue
                self._lacks_one_less(dependent)

    def _lacks_one_less(self, node: StageNode) -> None:
        node.missing -= 1
        if node.missing == 0 and node.state is StageState.WAITING:
            self._make_ready(node)

    def _reached_goal(self, node: StageNode) -> None:
        """A stage is in a final state: settle the cells of which it was the last goal."""
        for cell in node.cells:
            if self._cells.reach_goal(cell):
                goals = self._cells.planned(cell).goals
                self._settle_cell(cell, state_of_cell([self._nodes[goal].state for goal in goals]))

    def _settle_cell(self, cell: int, state: StageState) -> None:
        self._cells.settle(cell)
        self._pending.append(CellSettled(cell, state))
        for node in self._held.released_by(cell):
            self._lacks_one_less(node)
        if self._admission is not None:
            self._unheard.append((cell, state))

    def _ask_admission(self) -> None:
        """Tell it of the cells that have settled, also of those that it skips by this."""
        while self._admission is not None and self._unheard:
            cell, state = self._unheard.popleft()
            planned = self._cells.planned(cell)
            goals = [self._nodes[goal] for goal in planned.goals]
            for verdict in self._admission.settled(cell, settled_cell(planned.cell, state, goals, self._nodes)):
                if isinstance(verdict, SkipCell):
                    self._skip_cell(verdict)
                elif isinstance(verdict, PreferCells):
                    self._ready.prefer(self._cells.ranks(verdict.cells))
                else:
                    self._pending.append(verdict)
            for goal in goals:
                if all(map(self._cells.is_settled, goal.cells)):
                    goal.result = None

    def _skip_cell(self, skip: SkipCell) -> None:
        if self._cells.is_settled(skip.cell):
            return
        self._pending.append(skip)
        self._settle_cell(skip.cell, StageState.SKIPPED)
        for stage_id in self._cells.planned(skip.cell).stages:
            node = self._nodes[stage_id]
            if node.state is not StageState.RUNNING and not self._cells.is_needed(stage_id):
                self._settle(node, StageState.SKIPPED, skip.reason)

    def _stop(self, reason: str) -> None:
        if self._stopped is not None:
            return
        self._stopped = reason
        self._delayed.clear()
        for node in self._nodes.values():
            if node.state not in FINAL and node.state is not StageState.RUNNING:
                self._settle(node, StageState.SKIPPED, reason)

    def _make_ready(self, node: StageNode) -> None:
        if not self._delayed.holds(node):
            node.state = StageState.READY
            self._ready.add(node)

    def _start_ready(self, t: float) -> None:
        """Start the first ready stage, in order, of each kind of need that has its slots free."""
        for needs in self._parties.in_turn(self._ready):
            ready = self._ready.of(needs)
            while self._stopped is None and self._slots.has_room(needs) and (node := next(ready, None)) is not None:
                node.state = StageState.RUNNING
                node.note(t, "started")
                self._running.add(node.stage.id)
                self._slots.hold(needs)
                self._pending.append(Start(node.stage.id))
