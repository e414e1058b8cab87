"""When outputs are the expected ones, and the words when they do not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sweep.api.bundles.bundle_files.run import difference
from sweep.devices.measuring.output_check import Allowance, OutputFacts, check_outputs
from sweep.errors import OutputMismatch

NAN, INF = float("nan"), float("inf")
THRESHOLD = 1e-3


def array(*values: float, dtype: str = "float32") -> Any:
    return np.array(values, dtype)


def agrees(output: Any, expected: Any, facts: OutputFacts | None = None) -> bool:
    try:
        check_outputs([output], [expected], THRESHOLD, facts)
    except OutputMismatch:
        return False
    return True


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
        (array(NAN, 1), array(NAN, 1), 0.0, 0.0),
        (array(INF, -INF, 2), array(INF, -INF, 2), 0.0, 0.0),
        (array(NAN), array(NAN), 0.0, 0.0),
        # What cancels out inside a network leaves no zero
        (array(1e-7, 0), array(0, 0), 1e-7, 1.0),
        (array(1.0, 2.002, dtype="float16"), array(1.0, 2.0, dtype="float16"), 1 / 512, 0.0),
    ],
)
def test_agreement(output: Any, expected: Any, max_abs_diff: float, cosine_distance: float) -> None:
    found = check_outputs([output], [expected], THRESHOLD)
    assert found.max_abs_diff == pytest.approx(max_abs_diff, rel=1e-3)
    assert found.cosine_distance == pytest.approx(cosine_distance, abs=1e-6)
    assert difference([output], [expected], THRESHOLD)[1], "a bundle's run.py says the same"


@pytest.mark.parametrize(
    ("outputs", "expected", "message"),
    [
        (
            [array(1.01)],
            [array(1.0)],
            r"output 0: max absolute difference 0\.01 \(allowed 0\.001\), relative distance 0\.01 \(allowed 0\.001\)",
        ),
        ([array(0.0005, 0)], [array(0, 0.0005)], r"cosine distance 1"),
        ([array(0, 0)], [array(0.0001, 0)], "cosine distance 1"),
        (
            [array(NAN, 1)],
            [array(0, 1)],
            "1 of 2 values are NaN or inf on one side alone, the first nan, expected is",
        ),
        ([array(1)], [array(NAN)], "the first 1, expected is nan"),
        ([array(INF)], [array(-INF)], "the first inf, expected is -inf"),
        ([array(1, 2)], [array(1, 2).reshape(2, 1)], r"shape \(2,\), expected is \(2, 1\)"),
        ([array(1)], [array(1), array(2)], "1 output where expected are 2"),
        ([array(1), array(3)], [array(1), array(2)], "^output 1: "),
        ([array(2), array(1), array(3)], [array(1), array(1), array(2)], "^output 0: .*; output 2: "),
        ([array(1, dtype="float64")], [array(1)], "number type float64, expected is float32"),
        ([array(1, dtype="int32")], [array(1, dtype="int64")], "number type int32, expected is int64"),
        ([array(1)], [array(1, dtype="bool")], "number type float32, expected is bool"),
        ([array(1, dtype="float16")], [array(1)], "number type float16, expected is float32"),
    ],
)
def test_mismatch(outputs: list[Any], expected: list[Any], message: str) -> None:
    with pytest.raises(OutputMismatch, match=message):
        check_outputs(outputs, expected, THRESHOLD)


CLASSES = np.full(1000, 1e-3, "float32")
CLASSES[7] = 1.4e-3
OUTLIER = np.r_[np.float32(1000), np.ones(999, "float32")]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(np.arange(64) + 1 + 40_000, np.arange(64) + 40_000, id="token ids all off by one"),
        pytest.param(np.array([998]), np.array([999]), id="another class"),
        pytest.param(np.r_[1, 0, 2:8400], np.arange(8400), id="two neighbours swapped"),
        pytest.param(np.array([2**63 - 1]), np.array([2**63 - 2]), id="numbers that doubles cannot tell apart"),
        pytest.param(np.array([2**64 - 1], "uint64"), np.array([0], "uint64"), id="the ends of uint64"),
        pytest.param(np.array([-128], "int8"), np.array([127], "int8"), id="the ends of int8"),
        pytest.param(np.r_[False, np.ones(2999, bool)], np.ones(3000, bool), id="one of 3000 flipped"),
        pytest.param(array(3e-4, -3e-4), array(1e-4, -1e-4), id="small values tripled"),
        pytest.param(array(5e-5), array(1e-4), id="small values halved"),
        pytest.param(np.roll(CLASSES, 1), CLASSES, id="best class of a softmax swapped with its neighbour"),
        pytest.param(np.r_[OUTLIER[:1], np.zeros(49, "float32"), OUTLIER[50:]], OUTLIER, id="zeros beside an outlier"),
    ],
)
def test_what_was_let_pass(output: Any, expected: Any) -> None:
    assert not agrees(output, expected)
    assert not difference([output], [expected], THRESHOLD)[1] or expected.dtype.itemsize == 8


def test_one_step_of_a_quantised_output_is_no_error_and_two_are() -> None:
    facts = OutputFacts(("a",), frozenset({0}))
    expected = np.array([10, 20, 31, 0], "uint8")
    assert agrees(np.array([10, 21, 30, 1], "uint8"), expected, facts)
    assert not agrees(np.array([10, 21, 30, 1], "uint8"), expected)
    assert not agrees(np.array([10, 22, 31, 0], "uint8"), expected, facts)
    with pytest.raises(OutputMismatch, match=r"^output 0 'a': 1 of 4 values of uint8 differ, by 255"):
        check_outputs([np.array([10, 20, 31, 255], "uint8")], [expected], THRESHOLD, facts)
    assert difference([np.array([10, 21, 30, 1], "uint8")], [expected], THRESHOLD, [{"is_quantised": True}])[1]


def test_one_value_of_a_hundred_may_be_off_by_four_steps() -> None:
    """What is rounded the other way deep inside comes to two steps in 4 of 100,000 values of four convolutions."""
    expected = np.arange(200, dtype="uint8")
    floats = expected * np.float32(0.25)
    for count, steps, is_right in ((2, 4, True), (3, 4, False), (2, 5, False)):
        given = expected.copy()
        given[50 : 50 + count] += np.uint8(steps)
        assert agrees(given, expected, OutputFacts(("a",), frozenset({0}))) is is_right
        assert difference([given], [expected], THRESHOLD, [{"is_quantised": True}])[1] is is_right
        given = given * np.float32(0.25)
        assert agrees(given, floats, OutputFacts(("a",), allowances={0: Allowance(step=0.25)})) is is_right
        assert difference([given], [floats], THRESHOLD, [{"step": 0.25}])[1] is is_right


def test_a_float_made_of_integers_may_be_off_by_their_step() -> None:
    facts = OutputFacts(("a",), allowances={0: Allowance(step=0.25)})
    expected = np.linspace(-2, 2, 17, dtype="float32")
    for steps, is_right in ((0, True), (1, True), (2, False)):
        given = expected + np.float32(0.25 * steps)
        assert agrees(given, expected, facts) is is_right
        assert difference([given], [expected], THRESHOLD, [{"step": 0.25}])[1] is is_right
    assert not agrees(expected + np.float32(0.25), expected)
    with pytest.raises(OutputMismatch, match=r"difference 0.5 \(allowed 0.25"):
        check_outputs([expected + np.float32(0.5)], [expected], THRESHOLD, facts)


def test_a_runtime_that_rounds_is_judged_by_what_its_rounding_does() -> None:
    facts = OutputFacts(("a",), allowances={0: Allowance(tolerance=0.05)})
    assert agrees(array(1.04, 2), array(1, 2), facts)
    assert not agrees(array(1.2, 2), array(1, 2), facts)


def test_floats_may_be_of_the_type_that_the_code_was_converted_to() -> None:
    half = OutputFacts(computed_in="float16")
    assert agrees(array(1, 2, dtype="float16"), array(1, 2), half)
    assert agrees(array(1, 2), array(1, 2), half)
    assert not agrees(array(1, 2, dtype="float64"), array(1, 2), half)
    assert not agrees(array(1, 2, dtype="float16"), array(1, 2, dtype="int32"), half)


@pytest.mark.parametrize(
    ("dtype", "ulps", "expected"), [("float16", 8, True), ("float16", 30, False), ("bfloat16", 8, True)]
)
def test_floats_of_few_digits_are_judged_by_their_last_place(dtype: str, ulps: int, expected: bool) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    one = np.ones(8, kind)
    off = (1 + ulps * float(ml_dtypes.finfo(kind).eps)) * np.ones(8)
    assert agrees(off.astype(kind), one) is expected


def test_the_worst_of_several_outputs_is_given() -> None:
    found = check_outputs([array(1), array(2.0001)], [array(1), array(2)], THRESHOLD)
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
        (array(7, 5, dtype="int8"), array(5, 5, dtype="int8"), 2.0, 0.0136),
    ],
)
def test_where_the_output_may_differ_its_distance_is_the_answer(
    output: Any, expected: Any, max_abs_diff: float, cosine_distance: float
) -> None:
    with pytest.raises(OutputMismatch):
        check_outputs([output], [expected], THRESHOLD)
    check = check_outputs([output], [expected], None)
    assert (check.max_abs_diff, check.cosine_distance) == pytest.approx((max_abs_diff, cosine_distance), rel=1e-2)


@pytest.mark.parametrize(
    "output", [array(NAN, 1), array(INF, 1), array(1, 2).reshape(2, 1), array(1, 2, dtype="int32")]
)
def test_what_has_no_distance_fails_also_where_the_output_may_differ(output: Any) -> None:
    with pytest.raises(OutputMismatch):
        check_outputs([output], [array(1, 2)], None)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e-160, 1.34078079e154, 1e200, 1.7e308])
def test_values_whose_squares_no_double_holds_are_compared_as_others_are(scale: float) -> None:
    values = np.array([1.0, 0.5, -1.0]) * scale
    same = check_outputs([values], [values.copy()], THRESHOLD)
    assert (same.max_abs_diff, same.cosine_distance) == (0, pytest.approx(0, abs=1e-15))
    turned = check_outputs([np.array([scale, 0.0])], [np.array([0.0, scale])], None)
    assert (turned.max_abs_diff, turned.cosine_distance) == (scale, 1.0)
    assert check_outputs([-values], [values], None).cosine_distance == pytest.approx(2.0)
    if scale > 1:
        few = values + np.array([0.0, 0.9e-3, 0.0]) * scale
        for output, is_right in ((values * (1 - 5e-4), True), (few, True), (values * 0.9, False), (-values, False)):
            assert agrees(output, values) == is_right
            assert difference([output], [values], THRESHOLD)[1] == is_right
        assert not agrees(values, np.ones(3))


@given(
    arrays.arrays(
        st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "int32", "uint64", "int64", "bool"]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_every_array_agrees_with_itself(values: Any) -> None:
    found = check_outputs([values], [values.copy()], THRESHOLD)
    assert found.max_abs_diff == 0
    assert difference([values], [values.copy()], THRESHOLD) == (0.0, True)


@given(
    arrays.arrays("float64", 8, elements=st.floats(-1, 1).filter(lambda value: abs(value) > 1e-2)),
    st.integers(-4, 12),
)
def test_a_factor_is_found_at_every_scale_above_what_cancels_out(values: Any, exponent: int) -> None:
    values = values * 10.0**exponent if exponent > -1 else values * 10.0**exponent * 100
    assert not agrees(values * 1.5, values)
    assert agrees(values * (1 + 5e-4), values)
