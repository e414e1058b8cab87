"""Winograd's forms as arithmetic: what they compute, and how far they are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.toolchain.winograd.winograd_form import FORMS, WinogradForm, allowed_error


def named(form: WinogradForm) -> str:
    return form.name


def weights(*shape: int) -> Any:
    return np.random.default_rng(2).normal(0, 0.1, shape).astype(np.float32)


def without_mean(given: Any) -> Any:
    """Each window sums up to zero."""
    return given - given.mean(axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_one_dimension_is_the_sum_over_a_window_of_three(form: WinogradForm) -> None:
    random = np.random.default_rng(1)
    data, window = random.normal(size=form.size), random.normal(size=3)
    rows = np.outer(window, [0, 1.0, 0])  # a window of 3x3 whose other columns are zero
    transformed = form.transformed(rows[None, :, :, None].astype(np.float64))[:, :, 0, 0]
    of_data = np.asarray(form.data_rows(list(data)))
    of_ones = np.asarray(form.data_rows([1.0] * form.size))
    square = np.outer(of_data, of_ones) * transformed
    columns = np.asarray(form.output_rows(list(square)))
    found = np.asarray(form.output_rows(list(columns.T))).T
    expected = [data[at : at + 3] @ window for at in range(form.outputs)]
    np.testing.assert_allclose(found, np.outer(expected, np.ones(form.outputs)), atol=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_transformed_weights_are_told_again_in_whatever_order(form: WinogradForm) -> None:
    given = weights(8, 3, 3, 5)
    packed = form.transformed(given).reshape(form.size, form.size, 5, 2, 4).transpose(0, 1, 3, 2, 4)
    restored = form.restored(packed).transpose(2, 4, 0, 1, 3).reshape(8, 3, 3, 5)
    np.testing.assert_allclose(restored, given, atol=1e-7)


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_usual_weights_are_exact_enough_for_level_3(form: WinogradForm) -> None:
    level_3 = allowed_error(3)
    assert level_3 is not None
    assert 0 < form.error(weights(16, 3, 3, 64)) < level_3


def test_the_error_of_f43_is_above_that_of_f23() -> None:
    small, large = (form.error(weights(16, 3, 3, 64)) for form in FORMS)
    assert small < large


def test_what_cancels_out_is_for_level_4() -> None:
    """Edge detectors: their outputs are small beside what they are the differences of."""
    level_3, level_4 = allowed_error(3), allowed_error(4)
    assert level_3 is not None
    assert level_4 is not None
    detectors = without_mean(weights(16, 3, 3, 64))
    assert FORMS[0].error(detectors) < level_3 < FORMS[1].error(detectors) < level_4


def test_lower_levels_have_no_form_and_weights_that_overflow_neither() -> None:
    assert [allowed_error(level) for level in (0, 1, 2)] == [None] * 3
    huge = np.full((16, 3, 3, 16), 3e38, np.float32)
    assert all(form.error(huge) == np.inf for form in FORMS)
