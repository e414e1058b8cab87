"""Narrows a plan to some of its cells and the stages that they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import replace

from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.stage import Plan, PlannedCell
from sweep.study.selection import Selection, select

__all__ = ["narrowed", "of_cells", "without"]


def narrowed(plan: Plan, selection: Selection) -> Plan:
    """What the chosen cells need, in the same order; ids are those of the whole plan.

    Raises:
        StudyError: no cell is chosen.
    """
    return _of_cells(plan, [plan.cells[index] for index in select([planned.cell for planned in plan.cells], selection)])


def without(plan: Plan, cells: Container[str]) -> Plan:
    """The plan of all other cells than these, which are told by their ids; it may be empty."""
    return _of_cells(plan, [planned for planned in plan.cells if planned.cell.id not in cells])


def of_cells(plan: Plan, cells: Container[str]) -> Plan:
    """The plan of these cells alone, which are told by their ids."""
    return _of_cells(plan, [planned for planned in plan.cells if planned.cell.id in cells])


def _of_cells(plan: Plan, cells: list[PlannedCell]) -> Plan:
    wanted = {stage_id for planned in cells for stage_id in planned.stages}
    naive = Counter(plan.stages[stage_id].kind for planned in cells for stage_id in planned.stages)
    return replace(
        plan,
        cells=cells,
        stages={stage_id: stage for stage_id, stage in plan.stages.items() if stage_id in wanted},
        naive={kind: naive[kind] for kind in STAGE_KINDS.names() if naive[kind]},
    )
