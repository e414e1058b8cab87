"""Cells whose opt level did without some of its passes, since those refuse the network: named with the reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.reason_lines import LINES_SHOWN, reason_lines
from sweep.planning.results.compiling import BuildResult, LowerResult

__all__ = ["left_out_lines", "left_out_passes"]

Row = Mapping[str, Any]


def left_out_passes(outcome: CellOutcome) -> str | None:
    """What the cell's opt level asks for and was not done, each with its reason; None where there is nothing."""
    lowered, built = outcome.result(LowerResult) or LowerResult(), outcome.result(BuildResult) or BuildResult()
    return "; ".join(dict.fromkeys((*lowered.passes_left_out, *built.passes_left_out))) or None


def left_out_lines(rows: Sequence[Row], shown: int = LINES_SHOWN) -> list[str]:
    """A line for each set of passes that were left out, with the first cell that it holds for."""
    return reason_lines(((row["cell_name"], told) for row in rows if (told := row.get("passes_left_out"))), shown)
