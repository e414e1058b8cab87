from __future__ import annotations

import math

import pytest

from sweep.analysis.sentinel_values import is_time, median_s


@pytest.mark.parametrize("seconds", [1e9, 1e10, 0.0, -1e-3, math.nan, math.inf, 10**400])
def test_a_number_that_is_no_time_leaves_no_median(seconds: float) -> None:
    assert not is_time(seconds)
    assert median_s([1e-3, seconds]) is None


def test_the_median_is_of_times() -> None:
    assert median_s([9.0, 1, 1.0]) == 1.0
    assert median_s([]) is None
    assert median_s(None) is None
