"""Which party leaves a slot to another: stages that hold a slot together, as the tune stages of one pool do.

A party keeps its slot for as long as it has work, which for a tuner is minutes or hours. What another one, which comes
first by the plan, waits for may take seconds: without a word on it, whoever is ready half a second earlier is first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sweep.running.events import StageState
from sweep.running.ready_queues import ReadyQueues
from sweep.running.slots import Need, Slots
from sweep.running.stage_node import StageNode

__all__ = ["Parties"]


class Parties:
    """Knows the stages that work as parties."""

    def __init__(self, nodes: Mapping[str, StageNode], slots: Slots) -> None:
        """nodes: all stages of a run, by id, as they will be when parties are first asked for."""
        self._nodes, self._slots = nodes, slots
        self._by_slot: dict[str, list[StageNode]] | None = None

    def in_turn(self, ready: ReadyQueues) -> Iterator[tuple[Need, ...]]:
        """The kinds of need of the stages that could start, the first by the plan before the rest, without those of
        parties that give way.
        """
        return (needs for needs in ready.kinds() if not self._gives_way(needs, ready))

    def _gives_way(self, needs: tuple[Need, ...], ready: ReadyQueues) -> bool:
        """Whether a party that has no slot yet is to wait, since as many as have room come before it and will be ready
        as soon as what runs now is done.
        """
        if not any(need.party for need in needs) or not self._slots.has_room(needs):
            return False
        order = ready.first_of(needs)
        if order is None:
            return False
        return any(
            need.party
            and not self._slots.is_held_by(need)
            and len(self._coming(need, order)) >= self._slots.free(need.slot)
            for need in needs
        )

    def _coming(self, need: Need, order: int) -> set[Need]:
        """Parties of the same slot with a stage that comes before and is about to be ready."""
        return {
            other
            for node in self._working_at(need.slot)
            if node.order < order and node.state is StageState.WAITING and self._is_about_to_be_ready(node)
            for other in node.needs
            if other.slot == need.slot and other.party != need.party and not self._slots.is_held_by(other)
        }

    def _working_at(self, slot: str) -> Sequence[StageNode]:
        if self._by_slot is None:
            self._by_slot = {}
            for node in self._nodes.values():
                for need in node.needs:
                    if need.party:
                        self._by_slot.setdefault(need.slot, []).append(node)
        return self._by_slot.get(slot, ())

    def _is_about_to_be_ready(self, node: StageNode) -> bool:
        states = [self._nodes[stage_id].state for stage_id in node.stage.inputs]
        return all(state in (StageState.DONE, StageState.RUNNING) for state in states)
