"""Finals that something outside of them has overtaken."""

from __future__ import annotations

import json

from sweep.analysis.rows.duels import overtaken
from tests.analysis.answering.mixed_grids import Row, hold_final, row_of


def held(outside_ms: float) -> list[Row]:
    """A final of two, and a third cell that took no part."""
    rows = [
        row_of("net", "here", tuner, 3, ms=(ms, 0.99 * ms, 1.01 * ms))
        for tuner, ms in (("xgb", 10.0), ("random", 12.0), ("none", outside_ms))
    ]
    hold_final(rows[:2], [(1.0, 1.0), (1.2, 1.01)], True)
    return rows


def test_a_faster_cell_outside_overtakes_a_final() -> None:
    assert overtaken(held(5.0)) == {"net here"}
    assert overtaken(held(20.0)) == set()


def test_a_cell_that_does_not_keep_the_limits_of_the_study_overtakes_nothing() -> None:
    rows = held(5.0)
    objective = json.dumps({"minimise": "latency", "subject_to": {"artifact_bytes": 1000.0}})
    for row, size in zip(rows, (900, 800, 2000), strict=True):
        row |= {"objective": objective, "artifact_bytes": size}
    assert overtaken(rows) == set()
    rows[2]["artifact_bytes"] = 1000
    assert overtaken(rows) == {"net here"}
