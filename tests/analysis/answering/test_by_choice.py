"""Wins and geometric means of a tuner at a level, over places made by hand and drawn at random."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given

from sweep.analysis.answering.by_choice import by_choice
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.runtime_rows import is_compiled_row
from tests.analysis.answering.mixed_grids import Row, mixed_grids, row_of

SLOWED = "the sentinel kernel was 33 % slower than its best on this device; in 2 of 3 blocks"


def cell(model: str, tuner: str, level: int, ms: float, ratio: float | None, **options: str) -> Row:
    row = row_of(model, "here", tuner, level, ms=(ms, ms * 0.99, ms * 1.01), **options)
    return {**row, "ratio_to_baseline": ratio, "speedup_vs_untuned": None}


def test_wins_and_means_with_their_places() -> None:
    rows = [
        cell("alpha", "xgb", 3, 1.0, 2.0),
        cell("alpha", "none", 3, 5.0, 10.0),
        cell("beta", "xgb", 3, 4.0, 8.0),
        cell("beta", "none", 3, 4.0, 8.0),  # a tie: nothing beyond doubt
        cell("gamma", "none", 3, 1.0, None),
        cell("gamma", "xgb", 3, 9.0, 9.0, status="tainted", error=SLOWED),
    ]
    first, second = by_choice(best_cells(rows), rows)
    assert (first.tuner, first.places, first.best_in, first.certain_in) == ("xgb", 2, 2, 1)
    assert (first.to_baseline, first.to_baseline_in) == (pytest.approx(4.0), 2)
    assert (second.tuner, second.places, second.best_in) == ("none", 3, 1)
    assert (second.to_baseline, second.to_baseline_in, second.speedup) == (pytest.approx(80**0.5), 2, None)


def test_of_several_cells_of_one_choice_the_fastest_counts() -> None:
    slow = cell("alpha", "xgb", 3, 2.0, 4.0)
    other = {**slow, "cell_id": "other", "layout": "NHWC", "latency_ms_median": 1.0, "ratio_to_baseline": 2.0}
    (found,) = by_choice(best_cells([slow, other]), [slow, other])
    assert (found.places, found.to_baseline) == (1, pytest.approx(2.0))


@given(mixed_grids())
def test_each_win_is_of_one_choice_and_each_mean_lies_among_its_values(rows: list[Row]) -> None:
    rows = [{"ratio_to_baseline": row["latency_ms_median"], "speedup_vs_untuned": None, **row} for row in rows]
    best = best_cells(rows)
    found = by_choice(best, rows)
    assert sum(one.best_in for one in found) == sum(is_compiled_row(one.row) for one in best)
    assert all(one.certain_in <= one.best_in for one in found)
    for one in found:
        of_it = [r for r in rows if is_compiled_row(r) and (r["tuner"], r["opt_level"]) == (one.tuner, one.opt_level)]
        values = [r["latency_ms_median"] for r in of_it if Reading.of(r).is_exact]
        assert one.places <= len(of_it)
        if one.to_baseline is not None and one.to_baseline_in == len(values):
            assert one.to_baseline == pytest.approx(prod(values) ** (1 / len(values)), rel=1e-6)
