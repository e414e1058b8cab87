"""The cells that no other beats in two quantities at once: latency against memory, size or a loss of accuracy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.analysis.answering.best_words import configuration
from sweep.analysis.formatting import as_ms
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.columns import LATENCY
from sweep.analysis.rows.objective_fit import as_limit, objective_of
from sweep.analysis.rows.runtime_rows import GroupKey, group_key

__all__ = ["COSTS", "DISTANCE", "front", "front_lines", "grouped", "points"]

Row = Mapping[str, Any]
DISTANCE = "output_cosine_distance"
COSTS = ("accuracy_drop", DISTANCE, "peak_memory_bytes", "artifact_bytes")
"""What latency is held against, where cells differ in it; less of each is better."""
_FEWEST = 2
"""A front of one cell says no more than that it is best in both."""


def grouped(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of each model, batch and device."""
    groups: dict[GroupKey, list[Row]] = {}
    for row in rows:
        groups.setdefault(group_key(row), []).append(row)
    return list(groups.values())


def points(rows: Sequence[Row], cost: str) -> list[Row]:
    """Rows of which both are known: a latency that nothing disturbed, and the cost."""
    return [row for row in rows if Reading.of(row).is_exact and row.get(cost) is not None]


def front(rows: Sequence[Row], cost: str) -> list[Row]:
    """The rows that no other row beats: none is faster at no more cost, or cheaper at no more time. Fastest first.

    Of rows that are equal in both, all are on it. By medians: intervals that meet are not looked at.
    """
    ordered = sorted(points(rows, cost), key=lambda row: (row[LATENCY], row[cost]))
    found: list[Row] = []
    for row in ordered:
        last = found[-1] if found else None
        if last is None or row[cost] < last[cost] or (row[cost] == last[cost] and row[LATENCY] == last[LATENCY]):
            found.append(row)
    return found


def front_lines(rows: Sequence[Row], shown: int = 6) -> list[str]:
    """Of a study with limits: a line for each place and each limited cost that has a front of several cells."""
    wanted = next((objective for row in rows if (objective := objective_of(row)) is not None), None)
    costs = [cost for cost in COSTS if wanted is not None and cost in wanted.subject_to]
    lines = []
    for cost in costs:
        for group in grouped(rows):
            found = front(group, cost)
            if len(found) < _FEWEST:
                continue
            cells = [
                f"{configuration(row)} {as_ms(row[LATENCY])} ms {as_limit(cost, row[cost])}" for row in found[:shown]
            ]
            more = f"; and {len(found) - shown} more" if len(found) > shown else ""
            where = f"{found[0]['model']} on {found[0]['device']}"
            lines.append(f"{where}, latency against {cost}: {'; '.join(cells)}{more}")
    return lines
