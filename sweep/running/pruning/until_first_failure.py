"""Larger batches of what has failed at a smaller one are skipped: they would fail too, and may take a machine down.

Batches come in order: as long as a smaller one is not settled, a larger one waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sweep.errors import LOST
from sweep.planning.stage import Plan
from sweep.running.admission import Admission, SettledCell, Verdict, waits_of
from sweep.running.events import SkipCell, StageState
from sweep.study.axes import axis_names
from sweep.study.cell_values import values_on

__all__ = ["EachOf", "UntilFirstFailure"]

_LOST = frozenset(error.__name__ for error in LOST)
"""What did the work was lost, which says nothing of a larger batch."""


class UntilFirstFailure:
    """Cells that differ in their batch alone are a series; a failure in it ends it."""

    def __init__(self, plan: Plan) -> None:
        group = values_on([axis for axis in axis_names() if axis != "batch"])
        series: dict[tuple[object, ...], list[int]] = {}
        for index, planned in enumerate(plan.cells):
            if planned.goals and planned.cell.batch is not None:
                series.setdefault(group(planned.cell), []).append(index)
        self._batches = {index: int(plan.cells[index].cell.batch or 0) for each in series.values() for index in each}
        self._larger: dict[int, Sequence[int]] = {}
        self.waits_for: dict[int, int] = {}
        """Cell -> the cell of the next smaller batch, by their index in the plan."""
        for each in series.values():
            ordered = sorted(each, key=self._batches.__getitem__)
            self.waits_for |= dict(zip(ordered[1:], ordered, strict=False))
            self._larger |= {index: ordered[place + 1 :] for place, index in enumerate(ordered)}

    def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
        """A cell is settled: where it has failed, those of larger batches are not worth their work."""
        if index not in self._batches or cell.state is not StageState.FAILED or cell.error_class in _LOST:
            return []  # of a network that is run as it is written there is no batch, and no larger one
        reason = f"batch {self._batches[index]} failed: larger ones are not tried"  # the same in every run
        return [SkipCell(larger, reason) for larger in self._larger.get(index, ())]


class EachOf:
    """Several policies: what any of them says is done."""

    def __init__(self, policies: Iterable[Admission]) -> None:
        self._policies = tuple(policies)
        self.waits_for = dict(pair for policy in self._policies for pair in waits_of(policy).items())

    def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
        """As each of them says, in their order."""
        return [verdict for policy in self._policies for verdict in policy.settled(index, cell)]
