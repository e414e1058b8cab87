"""The stages that could start: a queue for each kind of need, so that one kind that has no slot holds no other up."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from sweep.running.events import StageState
from sweep.running.slots import Need
from sweep.running.stage_node import StageNode

__all__ = ["ReadyQueues"]


class ReadyQueues:
    """Holds them by their order; those that are not ready any more are passed over when their turn comes."""

    def __init__(self, nodes: Mapping[str, StageNode]) -> None:
        """nodes: all stages of a run, by id; it may grow."""
        self._nodes = nodes
        self._queues: dict[tuple[Need, ...], list[tuple[int, str]]] = {}

    def add(self, node: StageNode) -> None:
        """A stage has become ready."""
        heapq.heappush(self._queues.setdefault(node.needs, []), (node.order, node.stage.id))

    def kinds(self) -> list[tuple[Need, ...]]:
        """The kinds of need, that of the stage with the least order first."""
        return sorted(self._queues, key=lambda needs: self._queues[needs][:1])

    def first_of(self, needs: tuple[Need, ...]) -> int | None:
        """The order of the first ready stage with these needs; None where there is none."""
        queue = self._queues[needs]
        while queue and self._nodes[queue[0][1]].state is not StageState.READY:
            heapq.heappop(queue)
        return queue[0][0] if queue else None

    def of(self, needs: tuple[Need, ...]) -> Iterator[StageNode]:
        """Takes out one after another of the ready stages with these needs."""
        queue = self._queues[needs]
        while queue:
            node = self._nodes[heapq.heappop(queue)[1]]
            if node.state is StageState.READY:
                yield node

    def prefer(self, ranks: Mapping[str, int]) -> None:
        """From now on these stages come first, those of the least rank before all; after them the rest, as planned."""
        for stage_id, node in self._nodes.items():
            node.order = ranks[stage_id] - len(ranks) if stage_id in ranks else node.place
        for queue in self._queues.values():
            queue[:] = [(self._nodes[stage].order, stage) for _, stage in queue]
            heapq.heapify(queue)
