"""Cells whose opt level did without some of its passes, since those refuse the network: named with the reason. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import plural
from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.compiling import BuildResult, LowerResult

__all__ = ["left_out_lines", "left_out_passes"]

Row = Mapping[str, Any]
_LINES_SHOWN = 12


def left_out_passes(outcome: CellOutcome) -> str | None:
    """What the cell's opt level asks for and was not done, each with its reason; None where there is nothing."""
    lowered, built = outcome.result(LowerResult) or LowerResult(), outcome.result(BuildResult) or BuildResult()
    return "; ".join(dict.fromkeys((*lowered.passes_left_out, *built.passes_left_out))) or None


def left_out_lines(rows: Sequence[Row], shown: int = _LINES_SHOWN) -> list[str]:
    """A line for each set of passes that were left out, with the first cell that it holds for."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        if left_out := row.get("passes_left_out"):
            counts[left_out] += 1
            names.setdefault(left_out, row["cell_name"])
    lines = [
        f"{names[left_out]}{f' and {count - 1} more' if count > 1 else ''}: {left_out}"
        for left_out, count in counts.most_common(shown)
    ]
    more = len(counts) - len(lines)
    return lines + ([f"... and {plural(more, 'other reason')}; see the report"] if more else [])
