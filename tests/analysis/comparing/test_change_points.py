"""Where a series changes its level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.comparing.change_points import change_points


def series(seed: int, *levels: tuple[float, int], noise: float = 0.01) -> list[float]:
    draw = np.random.default_rng(seed)
    return [level * float(np.exp(draw.normal(0, noise))) for level, count in levels for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is(seed: int) -> None:
    [found] = change_points(series(seed, (10.0, 12), (10.8, 10)))
    assert found.at == 12
    assert found.ratio == pytest.approx(1.08, rel=0.015)


def test_steps_up_and_down_are_all_found_in_their_order() -> None:
    found = change_points(series(1, (10.0, 10), (13.0, 10), (9.0, 10)))
    assert [one.at for one in found] == [10, 20]
    assert [one.ratio for one in found] == [pytest.approx(1.3, rel=0.03), pytest.approx(9 / 13, rel=0.03)]


def test_one_wild_value_is_no_change() -> None:
    values = series(2, (10.0, 20))
    values[11] = 80.0
    assert change_points(values) == []


def test_a_level_that_hardly_differs_is_the_same() -> None:
    assert change_points(series(3, (10.0, 30), (10.1, 30), noise=0.001)) == []


def test_series_without_a_change_are_seldom_cut() -> None:
    """At one in a hundred, six or more of a hundred come up once in two thousand times."""
    assert sum(bool(change_points(series(seed, (10.0, 16), noise=0.05))) for seed in range(100)) < 6


def test_eight_percent_are_found_in_19_of_20() -> None:
    assert sum(bool(change_points(series(seed, (10.0, 8), (10.8, 8), noise=0.015))) for seed in range(20)) >= 19


@settings(max_examples=30)
@given(st.lists(st.floats(0.01, 1000.0), max_size=30))
def test_the_same_series_gives_the_same_cuts_that_lie_in_it(values: list[float]) -> None:
    found = change_points(values)
    assert found == change_points(values)
    assert all(0 < one.at < len(values) and one.p <= 0.01 for one in found)
