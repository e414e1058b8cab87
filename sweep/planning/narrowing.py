"""Narrows a plan to some of its cells and the stages that they need."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.stage import Plan
from sweep.study.selection import Selection, select

__all__ = ["narrowed"]


def narrowed(plan: Plan, selection: Selection) -> Plan:
    """What the chosen cells need, in the same order; ids are those of the whole plan.

    Raises:
        StudyError: no cell is chosen.
    """
    cells = [plan.cells[index] for index in select([planned.cell for planned in plan.cells], selection)]
    wanted = {stage_id for planned in cells for stage_id in planned.stages}
    naive = Counter(plan.stages[stage_id].kind for planned in cells for stage_id in planned.stages)
    return replace(
        plan,
        cells=cells,
        stages={stage_id: stage for stage_id, stage in plan.stages.items() if stage_id in wanted},
        naive={kind: naive[kind] for kind in STAGE_KINDS.names() if naive[kind]},
    )
