"""Goals of cells: what is done for their sake, and when a cell is settled, and as what, by their states: the one rule
for machine and ledger.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from sweep.planning.stage import Plan
from sweep.running.events import FINAL, StageState
from sweep.running.stage_node import StageNode

__all__ = ["state_of_cell", "wanted_stages"]


def state_of_cell(goals: Iterable[StageState]) -> StageState:
    """The state of a cell whose goals are in these states.

    It is settled when all of them are: failed where one has failed, else skipped where one was skipped, else done.
    Until then it waits, also where one has failed: what the others come to is still worth having.
    """
    states = set(goals)
    if not states <= FINAL:
        return StageState.WAITING
    for state in (StageState.FAILED, StageState.SKIPPED):
        if state in states:
            return state
    return StageState.DONE


def wanted_stages(plan: Plan, nodes: dict[str, StageNode], done: Container[str], again: Iterable[str]) -> set[str]:
    """The goals of the cells and what they rest on; the nodes of goals are told of their cells. A stage whose
    dependents are all done is not needed again even if its own result is not in the ledger.
    """
    for index, planned in enumerate(plan.cells):
        for goal in planned.goals:
            nodes[goal].cells.append(index)
    wanted = {goal for planned in plan.cells for goal in planned.goals} | set(again)
    for node in reversed(nodes.values()):
        if node.stage.id in wanted and node.stage.id not in done:
            wanted.update(node.stage.inputs)
    return wanted
