"""The rooflines of a sweep: a row for each cell whose layers were timed on a device whose roof is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.outcome import SweepOutcome
from sweep.analysis.rooflines.placed_layers import roofline_row
from sweep.analysis.rooflines.roof import roof_of
from sweep.planning.results.roofline_results import DeviceRoof, LayerTimes

__all__ = ["roofline_rows"]


def roofline_rows(outcome: SweepOutcome, cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In the order of the cells. cells: their rows. What was measured last of a device or a cell counts."""
    roofs = {}
    for result in outcome.rooflines:
        if isinstance(result, DeviceRoof) and (roof := roof_of(result)) is not None:
            roofs[result.device] = roof
    timed = {result.cell: result for result in outcome.rooflines if isinstance(result, LayerTimes)}
    return [
        roofline_row(cell, timed[cell["cell_id"]], roofs[timed[cell["cell_id"]].device])
        for cell in cells
        if cell["cell_id"] in timed and timed[cell["cell_id"]].device in roofs
    ]
