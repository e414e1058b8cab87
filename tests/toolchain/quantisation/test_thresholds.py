"""Ranges that follow from a histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from sweep.toolchain.quantisation.range_table import _counted
from sweep.toolchain.quantisation.strategies import activation_steps, steps_of
from sweep.toolchain.quantisation.thresholds import (
    BINS,
    Observed,
    _divergence,
    kl_threshold,
    percentile_threshold,
)


def seen(values: Any) -> Observed:
    array = np.asarray(values, np.float32)
    low, high = float(array.min()), float(array.max())
    return Observed(low, high, _counted(array, max(abs(low), abs(high))))


def normal(outlier: float, sign: float = 1.0) -> Observed:
    values = np.random.default_rng(3).standard_normal(20_000)
    return seen(np.append(values, sign * outlier))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    found = seen(values)
    assert found.histogram.sum() == found.folded.sum() == len(values)


@settings(max_examples=20)
@example([-1.875], "mse")
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40), st.sampled_from(["kl", "percentile", "mse"]))
def test_a_threshold_is_within_what_was_seen(values: list[float], calibrate: str) -> None:
    found = seen(values)
    low, high, _ = activation_steps(found, "symmetry_max", calibrate)
    assert low <= high
    assert max(-low, high) <= found.greatest


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_outlier_is_cut_off(sign: float) -> None:
    found = normal(100.0, sign)
    cut = {calibrate: activation_steps(found, "symmetry_max", calibrate)[:2] for calibrate in ("kl", "percentile")}
    assert found.greatest == 100
    assert all(max(map(abs, limits)) < 15 for limits in cut.values()), cut


def test_zeros_of_a_rectifier_do_not_decide() -> None:
    values = np.random.default_rng(4).standard_normal(20_000)
    alone, among_zeros = seen(np.abs(values)), seen(np.append(np.abs(values), np.zeros(60_000)))
    assert kl_threshold(among_zeros) == pytest.approx(kl_threshold(alone), rel=0.2)


def test_few_different_values_are_kept_whole() -> None:
    """As of the pixels of a drawing: that one of them alone is left must not look like no loss."""
    values = np.repeat(np.arange(17) / 16, [9000, *[500] * 16])
    assert kl_threshold(seen(values)) == 1


def test_the_mean_squared_error_is_the_least() -> None:
    found = normal(12.0)
    values = (np.arange(2 * BINS) - BINS + 0.5) * found.greatest / BINS

    def error(threshold: float) -> float:
        low, high = found.within(threshold)
        rounded = steps_of(low, high, "symmetry_max", is_weight=False).rounded(values)
        return float(np.sum(found.histogram * (rounded - values) ** 2))

    low, high, _ = activation_steps(found, "symmetry_max", "mse")
    least = error(max(-low, high))
    assert least < error(found.greatest)
    assert least <= 1.01 * min(error(threshold) for threshold in np.linspace(2, 12, 40))


def test_the_divergence_is_that_of_scipy() -> None:
    counts = normal(8.0).folded.astype(np.float64)
    bins, levels = 1024, 128
    reference = counts[:bins].copy()
    reference[-1] += counts[bins:].sum()
    made = np.zeros(bins)
    for level in range(levels):
        part = slice(max(1, level * 8), level * 8 + 8)  # zeros are a level of their own
        filled = reference[part] > 0
        made[part][filled] = counts[part].sum() / filled.sum() if filled.any() else 0
    made[0] = counts[0]
    is_filled = reference > 0
    made = np.maximum(made / made.sum(), 1e-4 / bins)
    wanted = entropy(reference[is_filled], made[is_filled])
    # scipy scales what it is given to a sum of one; that of the levels is, but for the floor
    assert _divergence(counts, bins, levels) == pytest.approx(wanted, abs=2e-4)


def test_values_in_as_many_levels_as_there_are_lose_nothing() -> None:
    counts = np.zeros(BINS)
    counts[:128] = 5
    assert _divergence(counts, 128, 128) == pytest.approx(0)
    assert _divergence(counts, 256, 128) > -1e-9


def test_a_percentile_leaves_out_so_many() -> None:
    found = seen(np.arange(10_001))
    assert percentile_threshold(found, 90) == pytest.approx(9000, rel=2e-3)
    assert percentile_threshold(found, 100) == pytest.approx(10_000)


def test_of_zeros_there_is_no_threshold_but_zero() -> None:
    found = seen(np.zeros(5))
    assert [kl_threshold(found), percentile_threshold(found), found.greatest] == [0, 0, 0]
