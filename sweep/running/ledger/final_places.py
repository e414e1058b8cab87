"""Which finals of a ledger still hold, and how cells stood in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sweep.planning.results.final_result import FinalResult, digest_of
from sweep.planning.results.measurement import Measurement
from sweep.planning.stage import Plan, PlannedCell
from sweep.running.ledger.state import LedgerState

if TYPE_CHECKING:
    from sweep.analysis.final_place import FinalPlace

__all__ = ["final_places", "measured_stage"]


def final_places(plan: Plan, state: LedgerState) -> Mapping[str, FinalPlace]:
    """The place of each cell, by its id, in the last final that it took part in.

    A final of which contenders were measured anew since, are cells of the plan no more, or were in a later one, is left
    out.
    """
    if not state.finals:
        return {}
    from sweep.analysis.final_place import places_of

    cells = {planned.cell.id: planned for planned in plan.cells}
    places: dict[str, FinalPlace] = {}
    for final in state.finals:
        result = state.done[final].result
        if isinstance(result, FinalResult) and all(
            _holds(one.measured, cells.get(one.cell), state) for one in result.contenders
        ):
            placed = places_of(final, result)
            older = {places[cell].final for cell in placed if cell in places}
            places = {cell: place for cell, place in places.items() if place.final not in older}
            places.update(placed)
    return places


def measured_stage(planned: PlannedCell, state: LedgerState) -> tuple[str, Measurement] | None:
    """The stage that has measured a cell, with its result; None where none has."""
    for stage in planned.goals:
        if stage in state.done and isinstance(result := state.done[stage].result, Measurement):
            return stage, result
    return None


def _holds(measured: str, planned: PlannedCell | None, state: LedgerState) -> bool:
    found = None if planned is None else measured_stage(planned, state)
    return found is not None and digest_of(*found) == measured
