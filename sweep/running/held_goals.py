"""Goals that are held until cells that come before theirs are settled, however these end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from sweep.running.events import FINAL, StageState
from sweep.running.stage_node import StageNode

__all__ = ["HeldGoals"]


class HeldGoals:
    """Counts a cell that is waited for as one input more of each goal of the cell that waits."""

    def __init__(self, waits_for: Mapping[int, int]) -> None:
        """waits_for: cell -> the cell before it, both by their index in the plan."""
        self._waits_for = waits_for
        self._held: dict[int, list[StageNode]] = defaultdict(list)

    def hold(self, nodes: Mapping[str, StageNode], is_settled: Callable[[int], bool]) -> None:
        """Hold the goals that cells take which all wait; a goal of another cell too is not held."""
        for node in nodes.values() if self._waits_for else ():
            if node.state in FINAL or not all(cell in self._waits_for for cell in node.cells):
                continue
            for before in {self._waits_for[cell] for cell in node.cells}:
                if not is_settled(before):
                    self._held[before].append(node)
                    node.missing += 1
                    node.state = StageState.WAITING

    def released_by(self, cell: int) -> list[StageNode]:
        """The goals that this cell held up, now that it is settled."""
        return self._held.pop(cell, [])
