"""What tiles move into a cache, worked out by hand for a matrix product of 8 x 6 times 6 x 4 numbers of 4 bytes."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.search.learning.features import Tiling
from sweep.search.learning.traffic import traffic
from sweep.search.space import Access, Axis, LoopNest

ROWS, COLUMNS, DEPTH = 0, 1, 2
NEST = LoopNest(
    (Axis(8, False), Axis(4, False), Axis(6, True)),
    (
        Access((((ROWS, 1),), ((COLUMNS, 1),)), 4),
        Access((((ROWS, 1),), ((DEPTH, 1),)), 4),
        Access((((DEPTH, 1),), ((COLUMNS, 1),)), 4, is_packed=True),
    ),
)


def moved(rows: tuple[int, ...], columns: tuple[int, ...], depth: tuple[int, ...], cache: float) -> float:
    tiling = Tiling(np.asarray([[rows, columns]], float), np.asarray([[depth]], float), (ROWS, COLUMNS), (DEPTH,))
    return float(traffic(NEST, tiling, (cache,))[0][0])


def test_what_fits_a_cache_is_brought_in_once() -> None:
    whole = 4 * (8 * 4 + 8 * 6 + 6 * 4)
    assert moved((2, 2, 2, 1), (2, 1, 1, 2), (3, 2), 1e6) == whole
    assert moved((1, 1, 1, 8), (1, 1, 1, 4), (1, 6), 1.0) == whole, "one tile, each number of which is used once"


def test_what_does_not_is_brought_in_anew_each_time_round() -> None:
    """A row of 4 results, 6 numbers and all 24 weights (136 bytes), eight times."""
    assert moved((1, 1, 8, 1), (1, 1, 1, 4), (1, 6), 135.0) == 8 * 136
    assert moved((1, 1, 8, 1), (1, 1, 1, 4), (1, 6), 136.0) == 8 * 4 * 4 + 8 * 6 * 4 + 24 * 4, "weights stay"


def test_once_something_does_not_fit_all_further_loops_bring_in_everything() -> None:
    assert moved((2, 1, 4, 1), (1, 1, 1, 4), (1, 6), 135.0) == 8 * 136
    assert moved((8, 1, 1, 1), (1, 1, 2, 2), (1, 6), 79.0) == 8 * 2 * (4 * 2 + 4 * 6 + 4 * 12)


@pytest.mark.parametrize("cache", [1.0, 100.0, 150.0, 300.0, 1e6])
def test_a_larger_cache_is_never_brought_more(cache: float) -> None:
    tiles = ((2, 1, 2, 2), (1, 2, 2, 1), (3, 2))
    assert moved(*tiles, 2 * cache) <= moved(*tiles, cache)
