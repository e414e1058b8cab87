"""The stages that wait for their next attempt, by when that is due, or for the first tuned answer of the run."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from sweep.running.events import FINAL, StageState
from sweep.running.first_answer import FirstAnswer
from sweep.running.stage_node import StageNode

__all__ = ["DelayedStages"]


class DelayedStages:
    """Holds them; those that were skipped meanwhile are passed over."""

    def __init__(self, nodes: Mapping[str, StageNode], first: FirstAnswer | None) -> None:
        """nodes: all stages of a run, by id; it may grow."""
        self._nodes, self._first = nodes, first
        self._held: list[StageNode] = []
        self._due: list[tuple[float, int, str]] = []

    def add(self, node: StageNode, due_t: float) -> None:
        """A stage may be tried again from then on."""
        node.state = StageState.DELAYED
        heapq.heappush(self._due, (due_t, node.place, node.stage.id))

    def holds(self, node: StageNode) -> bool:
        """Whether a stage that could start waits for the first tuned answer; if so, it is due when that has come."""
        if self._first is None or node.stage.id not in self._first.waiting:
            return False
        node.state = StageState.DELAYED
        self._held.append(node)
        return True

    def release(self, stage_id: str) -> None:
        """The network of this stage has been timed."""
        if self._first is not None and stage_id == self._first.stage:
            self._first = None

    def clear(self) -> None:
        """None will be tried again."""
        self._due.clear()
        self._held.clear()

    @property
    def next_due_t(self) -> float | None:
        """When the first of them is due; None where there is none."""
        while self._due and self._nodes[self._due[0][2]].state is not StageState.DELAYED:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def due(self, t: float) -> Iterator[StageNode]:
        """Takes those out that are due by then."""
        if self._first is not None and (t >= self._first.most_s or self._nodes[self._first.stage].state in FINAL):
            self._first = None
        if self._first is None and self._held:
            yield from (node for node in self._held if node.state is StageState.DELAYED)
            self._held.clear()
        while (due_t := self.next_due_t) is not None and due_t <= t:
            yield self._nodes[heapq.heappop(self._due)[2]]
