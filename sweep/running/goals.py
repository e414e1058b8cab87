"""When a cell is settled, and as what, by the states of its goals: the one rule for machine and ledger."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.running.events import FINAL, StageState

__all__ = ["state_of_cell"]


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
