"""How a row stands to others, as a table writes it: `1x`, `2.11x`, `≥21.3x` where only an end is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.analysis.formatting import as_times, rounded_down, rounded_up
from sweep.analysis.rows.bounds import AT_LEAST, AT_MOST
from sweep.analysis.rows.results import NO_TUNER
from sweep.analysis.rows.runtime_rows import is_baseline, is_compiled_row
from sweep.analysis.rows.unchecked import is_unchecked

__all__ = ["ALIKE", "against_baseline", "against_untuned", "in_same_precision"]

Row = Mapping[str, Any]
ALIKE = "ratio_to_baseline_same_precision"


def against_untuned(row: Row) -> str:
    """How many times as fast it is."""
    is_measure = row["tuner"] == NO_TUNER and row["speedup_vs_untuned"] == 1
    return "1x" if is_measure else _bounded(row["speedup_vs_untuned"], row.get("speedup_bound"))


def against_baseline(row: Row) -> str:
    """Its time over the least of the baseline."""
    is_measure = is_baseline(row) and not is_compiled_row(row) and row["status"] == "done" and not is_unchecked(row)
    is_fastest = is_measure and row["ratio_to_baseline"] in (None, 1)
    return "1x" if is_fastest else _bounded(row["ratio_to_baseline"], row.get("ratio_bound"))


def in_same_precision(row: Row) -> str:
    """Its time over the least of the baseline in the row's own precision."""
    return "1x" if row.get(ALIKE) == 1 else _bounded(row.get(ALIKE), row.get("ratio_same_precision_bound"))


def _bounded(factor: float | None, bound: str | None) -> str:
    if factor is None or bound not in (AT_LEAST, AT_MOST):
        return as_times(factor)
    return f"≥{as_times(rounded_down(factor))}" if bound == AT_LEAST else f"≤{as_times(rounded_up(factor))}"
