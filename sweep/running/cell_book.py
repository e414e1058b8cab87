"""How far the cells of a run are: the goals that each has left, and which stages cells that are not settled need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sweep.planning.stage import Plan, PlannedCell

__all__ = ["CellBook"]

_SETTLED = 0


class CellBook:
    """Cells by their index in the plan."""

    def __init__(self, plan: Plan) -> None:
        self._planned = plan.cells
        self._open = [len(planned.goals) for planned in plan.cells]
        """Goals that each cell has left."""
        self._needed: Counter[str] | None = None
        """How many cells that are not settled take each stage; counted once somebody asks."""

    def planned(self, cell: int) -> PlannedCell:
        """The cell with its stages."""
        return self._planned[cell]

    def ranks(self, cells: Sequence[int]) -> dict[str, int]:
        """The stages of these cells, each with the place of the first cell that takes it."""
        ranks: dict[str, int] = {}
        for rank, cell in enumerate(cells):
            for stage_id in self._planned[cell].stages:
                ranks.setdefault(stage_id, rank)
        return ranks

    def is_settled(self, cell: int) -> bool:
        """Whether it is."""
        return self._open[cell] == _SETTLED

    def reach_goal(self, cell: int) -> bool:
        """One of its goals is in a final state: whether it was the last, of a cell that is not settled yet."""
        if self._open[cell] == _SETTLED:
            return False
        self._open[cell] -= 1
        return self._open[cell] == _SETTLED

    def settle(self, cell: int) -> None:
        """It needs no stage any more."""
        self._open[cell] = _SETTLED
        if self._needed is not None:
            self._needed.subtract(self._planned[cell].stages)

    def is_needed(self, stage_id: str) -> bool:
        """Whether a cell takes the stage that is not settled."""
        if self._needed is None:
            is_open = (planned for planned, left in zip(self._planned, self._open, strict=True) if left != _SETTLED)
            self._needed = Counter(stage for planned in is_open for stage in planned.stages)
        return self._needed[stage_id] > 0
