"""What keeps a slow layout in a compiled network: convolutions in another than was asked for, and transpositions that
are left inside. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.reason_lines import LINES_SHOWN, reason_lines
from sweep.planning.results.compiling import LowerResult

__all__ = ["layout_facts_of", "layout_lines", "slow_operators"]

Row = Mapping[str, Any]

_AT_THE_ENDS = (" the input ", " an output")
"""What a network takes and gives keeps its layout, so one transposition there is no fault."""


def layout_facts_of(outcome: CellOutcome) -> Mapping[str, Any]:
    """What the lowering of a cell says of its layout; empty where it says nothing."""
    lowered = outcome.result(LowerResult)
    return {} if lowered is None else lowered.layout or {}


def slow_operators(outcome: CellOutcome) -> str | None:
    """The operators that keep a slow layout, each kind once with its count; None where there is none."""
    facts = layout_facts_of(outcome)
    inside = [line for line in facts.get("transpositions", ()) if not any(end in f"{line} " for end in _AT_THE_ENDS)]
    counts = Counter([*facts.get("fallbacks", ()), *inside])
    return "; ".join(f"{line}{f' ({count} of them)' if count > 1 else ''}" for line, count in counts.items()) or None


def layout_lines(rows: Sequence[Row], shown: int = LINES_SHOWN) -> list[str]:
    """A line for each set of operators that keep a slow layout, with the first cell that it holds for."""
    return reason_lines(((row["cell_name"], told) for row in rows if (told := row.get("slow_layout_operators"))), shown)
