"""When outputs are the expected ones, and the words when they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.devices.measuring.output_check import check_outputs
from sweep.errors import OutputMismatch


def array(*values: float, dtype: str = "float32") -> Any:
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("output", "expected", "max_abs_diff", "cosine_distance"),
    [
        (array(1, 2, 3), array(1, 2, 3), 0.0, 0.0),
        (array(0, 0), array(0, 0), 0.0, 0.0),
        (array(), array(), 0.0, 0.0),
        (array(1, 2, dtype="int64"), array(1, 2, dtype="int64"), 0.0, 0.0),
        (array(1, 0, dtype="bool"), array(1, 0, dtype="bool"), 0.0, 0.0),
        (array(1.0005), array(1.0), 0.0005, 0.0),
        # 0.5 off on 1,000 is half of the threshold, relative to the largest value.
        (array(1000.5, 0), array(1000, 0), 0.5, 0.0),
        (array(1, 2, dtype="float16"), array(1, 2), 0.0, 0.0),
    ],
)
def test_agreement(output: Any, expected: Any, max_abs_diff: float, cosine_distance: float) -> None:
    found = check_outputs([output], [expected], 1e-3)
    assert found.max_abs_diff == pytest.approx(max_abs_diff, rel=1e-3)
    assert found.cosine_distance == pytest.approx(cosine_distance, abs=1e-9)


@pytest.mark.parametrize(
    ("outputs", "expected", "message"),
    [
        ([array(1.01)], [array(1.0)], r"max absolute difference 0\.01 \(allowed 0\.001\), cosine distance 0 "),
        ([array(0.0005, 0)], [array(0, 0.0005)], r"cosine distance 1 \(allowed 0\.001\)"),
        ([array(0, 0)], [array(0.0001, 0)], "cosine distance 1 "),
        ([array(np.nan, 1)], [array(np.nan, 1)], "1 values that are NaN or inf"),
        ([array(np.inf)], [array(np.inf)], "1 values that are NaN or inf"),
        ([array(1)], [array(np.nan)], "expected output 0 has 1 values that are NaN or inf"),
        ([array(1)], [array(np.inf)], "expected output 0 has 1 values that are NaN or inf"),
        ([array(1, 2)], [array(1, 2).reshape(2, 1)], r"shape \(2,\), expected is \(2, 1\)"),
        ([array(1)], [array(1), array(2)], "1 outputs where expected are 2"),
        ([array(1), array(3)], [array(1), array(2)], "output 1: "),
    ],
)
def test_mismatch(outputs: list[Any], expected: list[Any], message: str) -> None:
    with pytest.raises(OutputMismatch, match=message):
        check_outputs(outputs, expected, 1e-3)


def test_the_worst_of_several_outputs_is_given() -> None:
    found = check_outputs([array(1), array(2.0001)], [array(1), array(2)], 1e-3)
    assert found.max_abs_diff == pytest.approx(0.0001, rel=1e-2)


def test_figures_are_computed_in_double_precision() -> None:
    values = np.full(1_000_000, 0.1, "float32")
    assert check_outputs([values], [values.copy()], 1e-12).cosine_distance < 1e-12


@pytest.mark.parametrize(
    ("output", "expected", "max_abs_diff", "cosine_distance"),
    [
        (array(3, 0), array(1, 0), 2.0, 0.0),
        (array(0, 5), array(5, 0), 5.0, 1.0),
        (array(-1), array(1), 2.0, 2.0),
    ],
)
def test_where_the_output_may_differ_its_distance_is_the_answer(
    output: Any, expected: Any, max_abs_diff: float, cosine_distance: float
) -> None:
    with pytest.raises(OutputMismatch):
        check_outputs([output], [expected], 1e-3)
    check = check_outputs([output], [expected], None)
    assert (check.max_abs_diff, check.cosine_distance) == pytest.approx((max_abs_diff, cosine_distance))


@pytest.mark.parametrize("output", [array(np.nan, 1), array(np.inf, 1), array(1, 2).reshape(2, 1)])
def test_what_has_no_distance_fails_also_where_the_output_may_differ(output: Any) -> None:
    with pytest.raises(OutputMismatch):
        check_outputs([output], [array(1, 2)], None)
