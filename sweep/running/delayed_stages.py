"""The stages that wait for their next attempt, by when that is due."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from sweep.running.events import StageState
from sweep.running.stage_node import StageNode

__all__ = ["DelayedStages"]


class DelayedStages:
    """Holds them; those that were skipped meanwhile are passed over."""

    def __init__(self, nodes: Mapping[str, StageNode]) -> None:
        """nodes: all stages of a run, by id; it may grow."""
        self._nodes = nodes
        self._due: list[tuple[float, int, str]] = []

    def add(self, node: StageNode, due_t: float) -> None:
        """A stage may be tried again from then on."""
        node.state = StageState.DELAYED
        heapq.heappush(self._due, (due_t, node.place, node.stage.id))

    def clear(self) -> None:
        """None will be tried again."""
        self._due.clear()

    @property
    def next_due_t(self) -> float | None:
        """When the first of them is due; None where there is none."""
        while self._due and self._nodes[self._due[0][2]].state is not StageState.DELAYED:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def due(self, t: float) -> Iterator[StageNode]:
        """Takes those out that are due by then."""
        while (due_t := self.next_due_t) is not None and due_t <= t:
            yield self._nodes[heapq.heappop(self._due)[2]]
