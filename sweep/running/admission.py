"""Whether cells are still worth their work, by what others have come to: asked in the state machine.

A policy is pure: it is told of each cell as it settles, and names cells that are to be skipped. What they share with
other cells is done all the same, what runs may end, and what was measured stays measured. A run with another policy,
or with none, does them later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sweep.planning.results.stage_result import StageResult
from sweep.running.events import AuditCell, PreferCells, SkipCell, StageState
from sweep.running.stage_node import StageNode
from sweep.study.spec import Cell

__all__ = ["Admission", "SettledCell", "Verdict", "settled_cell", "waits_of"]

Verdict = SkipCell | AuditCell | PreferCells


@dataclass(frozen=True, slots=True)
class SettledCell:
    """What a cell has come to."""

    cell: Cell
    state: StageState
    """DONE; FAILED where a stage that it needs has failed for good; SKIPPED where the run ends, or a policy said so."""
    results: Mapping[str, StageResult] = field(default_factory=dict)
    """Of its goals that ended well in this run, by kind. Those of earlier runs are in the ledger."""
    error_class: str | None = None
    """Of the stage that failed in this run."""


class Admission(Protocol):
    """A policy; none at all admits every cell. One with an attribute `waits_for`, cell -> another cell by their index
    in the plan, lets the goals of the first begin only once the other is settled.
    """

    def settled(self, index: int, cell: SettledCell) -> Sequence[Verdict]:
        """A cell, by its index in the plan, is settled: name cells, by theirs, that are not worth their work any more,
        and those that are to come first.

        Cells that earlier runs have settled come first, when the run begins; a cell that is named here is told of too,
        and naming a settled cell does nothing.
        """


def waits_of(policy: Admission | None) -> Mapping[int, int]:
    """Which cells wait for which, by a policy."""
    waits: Mapping[int, int] = getattr(policy, "waits_for", {})
    return waits


def settled_cell(
    cell: Cell, state: StageState, goals: Sequence[StageNode], stages: Mapping[str, StageNode]
) -> SettledCell:
    """What a cell with these goals has come to. stages: all of the run, by id."""
    results = {goal.stage.kind: goal.result for goal in goals if goal.result is not None}
    failed = [stages[goal.root_cause] for goal in goals if goal.root_cause is not None and goal.root_cause in stages]
    error_class = next((stage.error_class for stage in failed), None)
    # A goal of which an input has failed is skipped, and its cell has failed by that
    return SettledCell(cell, StageState.FAILED if failed else state, results, error_class)
