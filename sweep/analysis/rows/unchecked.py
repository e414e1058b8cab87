"""Cells whose outputs nothing was compared with: how fast wrong code is says nothing, so none of them leads. Pure.

A network has no expected output where no other runtime could run it. Its cells keep their times, and are named with the
reason, but no cell is called best, or faster than another, by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import plural
from sweep.analysis.reason_lines import LINES_SHOWN, reason_lines
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.measurement import Measurement

__all__ = [
    "COMPARED",
    "NOT_COMPARED",
    "is_unchecked",
    "left_out",
    "output_check_of",
    "unchecked_lines",
    "why_unchecked",
]

Row = Mapping[str, Any]

COMPARED, NOT_COMPARED = "compared", "not compared"
"""Values of `output_check`."""
_NO_EXPECTED = "the import has no expected output"


def output_check_of(measured: Measurement | None) -> str | None:
    """Whether the outputs of a measurement were compared with expected ones; None where there is no measurement."""
    if measured is None:
        return None
    return NOT_COMPARED if measured.output_max_abs_diff is None else COMPARED


def why_unchecked(measured: Measurement | None, imported: ImportResult | None) -> str | None:
    """Why nothing was compared with a measurement's outputs; None where something was, or nothing was measured."""
    if output_check_of(measured) != NOT_COMPARED:
        return None
    return (imported.reference_error if imported is not None else None) or _NO_EXPECTED


def is_unchecked(row: Row) -> bool:
    """Whether a row's outputs were compared with nothing. A row from before there was the column may say so too."""
    if "output_check" in row:
        return bool(row["output_check"] == NOT_COMPARED)
    return row.get("latency_ms_median") is not None and row.get("output_max_abs_diff", 0.0) is None


def left_out(rows: Iterable[Row]) -> str:
    """`2 cells whose outputs nothing was compared with (the reason)`; empty where there is none."""
    reasons = Counter(_reason(row) for row in rows if is_unchecked(row))
    if not reasons:
        return ""
    (reason, _), *others = reasons.most_common()
    more = f"; and {plural(len(others), 'other reason')}" if others else ""
    return f"{plural(reasons.total(), 'cell')} whose outputs nothing was compared with ({reason}{more})"


def unchecked_lines(rows: Sequence[Row], shown: int = LINES_SHOWN) -> list[str]:
    """A line for each reason, with the first cell that it holds for."""
    return reason_lines(((row["cell_name"], _reason(row)) for row in filter(is_unchecked, rows)), shown)


def _reason(row: Row) -> str:
    return " ".join(str(row.get("output_check_reason") or _NO_EXPECTED).split())
