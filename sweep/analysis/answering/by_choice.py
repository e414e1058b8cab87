"""How each tuner and level does over many places: where it is best, and its geometric means with their places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

from sweep.analysis.answering.standing import Best
from sweep.analysis.rows.bounds import EXACT, Reading
from sweep.analysis.rows.runtime_rows import group_key, is_compiled_row

__all__ = ["ChoiceSummary", "by_choice"]

Row = Mapping[str, Any]
Choice = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ChoiceSummary:
    """A tuner at a level, over the places that have it: a model at a batch on a device each."""

    tuner: str
    opt_level: int
    places: int
    """Where it was measured and nothing disturbed it."""
    best_in: int
    """Where a cell of it has the best known time of what is compiled."""
    certain_in: int
    """Of these, where that is beyond doubt."""
    to_baseline: float | None
    """Geometric mean of its time over the baseline's."""
    to_baseline_in: int
    """Places of that mean."""
    speedup: float | None
    """Geometric mean of its speed-up over untuned."""
    speedup_in: int
    """Places of that mean."""


def by_choice(best: Sequence[Best], rows: Sequence[Row]) -> list[ChoiceSummary]:
    """One for each tuner and level that is among the rows, the most often best first.

    Of a place with several cells of one choice, such as layouts, the fastest counts.
    """
    fastest: dict[Choice, dict[object, Row]] = defaultdict(dict)
    for row in filter(is_compiled_row, rows):
        there = fastest[_choice(row)]
        if not Reading.of(row).is_exact:
            continue
        known = there.get(group_key(row))
        if known is None or row["latency_ms_median"] < known["latency_ms_median"]:
            there[group_key(row)] = row
    winners = [one for one in best if is_compiled_row(one.row)]
    wins = Counter(_choice(one.row) for one in winners)
    certain = Counter(_choice(one.row) for one in winners if one.own.is_certain)
    found = [_summary(choice, list(there.values()), wins[choice], certain[choice]) for choice, there in fastest.items()]
    return sorted(found, key=lambda one: (-one.best_in, one.to_baseline or float("inf"), one.tuner, one.opt_level))


def _summary(choice: Choice, rows: Sequence[Row], wins: int, certain: int) -> ChoiceSummary:
    ratios = _exact(rows, "ratio_to_baseline", "ratio_bound")
    speedups = _exact(rows, "speedup_vs_untuned", "speedup_bound")
    return ChoiceSummary(
        *choice,
        places=len(rows),
        best_in=wins,
        certain_in=certain,
        to_baseline=geometric_mean(ratios) if ratios else None,
        to_baseline_in=len(ratios),
        speedup=geometric_mean(speedups) if speedups else None,
        speedup_in=len(speedups),
    )


def _exact(rows: Sequence[Row], name: str, bound: str) -> list[float]:
    """What is known of it, without what is only a bound. Tables of earlier versions say nothing of bounds."""
    return [float(row[name]) for row in rows if row.get(name) and row.get(bound) in (None, EXACT)]


def _choice(row: Row) -> Choice:
    return str(row["tuner"]), int(row["opt_level"])
