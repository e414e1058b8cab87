"""How two rows stand to each other: by the final in which both took turns where there is one, else by their readings.

In a final the two met under the same conditions, whatever those were, so their ratio is known where neither time is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.analysis.rows.bounds import Reading, bound_of_row, leading
from sweep.analysis.rows.objective_fit import is_in_the_running
from sweep.analysis.statistics import Ratio
from sweep.planning.results.final_result import IN_TURNS

__all__ = ["FINAL", "duel_of", "how_held", "is_below", "leader_of", "may_be_below", "overtaken", "took_part"]

Row = Mapping[str, Any]

FINAL = "final"
"""The column with the id of the final that a cell took part in."""
_RATIO = "final_ratio_to_best"


def took_part(row: Row) -> bool:
    """Whether a final compared it, and its latency can be read at all. Tables of earlier versions have none."""
    return row.get(FINAL) is not None and row.get(_RATIO) is not None and bound_of_row(row) is not None


def how_held(row: Row) -> str:
    """How the final of a row that took part was held: `in turns`, as all of earlier versions, or `side by side`."""
    return str(row.get("final_held") or IN_TURNS)


def duel_of(row: Row, other: Row) -> Ratio | None:
    """The time of a row over another's in the final that both took part in; None where there is none."""
    if row is other or not took_part(row) or not took_part(other) or row[FINAL] != other[FINAL]:
        return None
    (value, low, high), (by, by_low, by_high) = _place(row), _place(other)
    # One of the two is the leader as a rule, whose place is exactly 1; of two others the ends are held the worst way
    return Ratio(value / by, low / by_high, high / by_low)


def is_below(row: Row, other: Row) -> bool:
    """Whether a row is faster than another, beyond doubt."""
    found = duel_of(row, other)
    if found is None or found.ci_high is None:
        return Reading.of(row).is_below(Reading.of(other))
    return found.ci_high < 1


def may_be_below(row: Row, other: Row) -> bool:
    """Whether a row may be as fast as another, for all that is known."""
    found = duel_of(row, other)
    if found is None or found.ci_low is None:
        return Reading.of(row).low_ms <= Reading.of(other).high_ms
    return found.ci_low <= 1


def overtaken(rows: Sequence[Row]) -> set[str]:
    """Finals that do not hold for these rows of one group: a cell that took no part is faster beyond doubt than one
    that they name as the fastest, or as no slower than that. It came later, or a first measurement was wrong. What
    does not keep the limits of the study was not asked, and overtakes nothing.
    """
    outside = [row for row in rows if not took_part(row) and is_in_the_running(row)]
    fastest = [row for row in rows if took_part(row) and float(row[f"{_RATIO}_ci_low"]) <= 1]
    return {row[FINAL] for row in fastest if any(is_below(other, row) for other in outside)}


def leader_of(rows: Sequence[Row]) -> Row | None:
    """The row to name: the fastest of the final, where nothing else is faster beyond doubt; without one the fastest
    that nothing disturbed, unless a disturbed one is faster beyond doubt.
    """
    index = leading([Reading.of(row) for row in rows])
    winner = _winner(rows)
    if winner is None or any(is_below(row, winner) for row in rows if not took_part(row)):
        return None if index is None else rows[index]
    return winner


def _winner(rows: Iterable[Row]) -> Row | None:
    placed = [row for row in rows if took_part(row)]
    if not placed:
        return None
    ((final, _),) = Counter(row[FINAL] for row in placed).most_common(1)
    return min((row for row in placed if row[FINAL] == final), key=lambda row: float(row[_RATIO]))


def _place(row: Row) -> tuple[float, float, float]:
    return float(row[_RATIO]), float(row[f"{_RATIO}_ci_low"]), float(row[f"{_RATIO}_ci_high"])
