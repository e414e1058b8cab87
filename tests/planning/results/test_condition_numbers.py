from __future__ import annotations

import math
from typing import Any

import pytest

from sweep.planning.results.condition_numbers import number_in


@pytest.mark.parametrize(
    ("value", "number"),
    [(1.5, 1.5), (0, 0.0), (True, None), ("1", None), ({}, None), (None, None), (math.nan, None), (math.inf, None)],
)
def test_a_number_is_finite_and_no_truth_value(value: Any, number: float | None) -> None:
    assert number_in({"load1_before": value}, "load1_before") == number
    assert number_in({}, "load1_before") is None
