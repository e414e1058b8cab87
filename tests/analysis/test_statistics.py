from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.statistics import (
    Verdict,
    compare,
    interval_of_another_block,
    ratio,
    relative_interval,
    summarise,
)

latencies = st.lists(st.floats(1e-7, 1e3), min_size=1, max_size=120)


@given(latencies)
def test_a_summary_lies_within_its_repeats(run_secs: list[float]) -> None:
    summary = summarise(run_secs)
    assert summary.repeats == len(run_secs)
    assert summary.min == min(run_secs)
    assert summary.max == max(run_secs)
    assert summary.median == pytest.approx(float(np.median(run_secs)))
    for value in (summary.mean, summary.median, summary.p90, summary.p99, summary.ci_low, summary.ci_high):
        assert value is None or summary.min <= value <= summary.max
    assert (summary.p90 is None) == (len(run_secs) < 10)
    assert (summary.p99 is None) == (len(run_secs) < 100)
    assert (summary.std is None) == (summary.ci_low is None) == (len(run_secs) == 1)


@given(latencies, st.randoms(use_true_random=False), st.floats(0.01, 100))
@settings(max_examples=50)
def test_order_does_not_matter_and_the_unit_scales(run_secs: list[float], random: object, unit: float) -> None:
    shuffled = list(run_secs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = summarise(run_secs), summarise(shuffled)
    assert (one.median, one.ci_low, one.ci_high, one.is_stable) == (
        other.median,
        other.ci_low,
        other.ci_high,
        other.is_stable,
    )
    scaled = summarise([value * unit for value in run_secs])
    assert scaled.median == pytest.approx(one.median * unit)
    if one.ci_low is not None:
        assert scaled.ci_low == pytest.approx(one.ci_low * unit)


@given(latencies, latencies)
@settings(max_examples=50)
def test_a_ratio_lies_in_its_interval(above: list[float], below: list[float]) -> None:
    found = ratio(above, below)
    assert found.value == pytest.approx(float(np.median(above) / np.median(below)))
    if found.ci_low is not None and found.ci_high is not None:
        assert found.ci_low <= found.value * (1 + 1e-12)
        assert found.value <= found.ci_high * (1 + 1e-12)


@pytest.mark.parametrize(
    "run_secs", [[], [0.0], [-1.0], [1.0, math.nan], [math.inf], [[[1.0]]], [[]], [[1.0], [-1.0]], [1e10 * -1]]
)
def test_what_is_no_latency_is_refused(run_secs: list[float]) -> None:
    with pytest.raises(ValueError, match="repeat"):
        summarise(run_secs)
    with pytest.raises(ValueError, match="repeat"):
        ratio([1.0], run_secs)


def test_an_interval_agrees_with_a_plain_bootstrap() -> None:
    values = np.random.default_rng(3).gamma(5, 1e-3, 31)
    draws = np.median(np.random.default_rng(4).choice(values, (20_000, 31)), axis=1)
    summary = summarise(values.tolist())
    width = summary.max - summary.min
    assert summary.ci_low == pytest.approx(np.percentile(draws, 2.5), abs=0.02 * width)
    assert summary.ci_high == pytest.approx(np.percentile(draws, 97.5), abs=0.02 * width)


def test_intervals_cover_the_true_median_about_as_often_as_they_say() -> None:
    random, covered = np.random.default_rng(0), 0
    true_median = math.log(2)
    for _ in range(400):
        summary = summarise(random.exponential(1.0, 20).tolist())
        assert summary.ci_low is not None
        assert summary.ci_high is not None
        covered += summary.ci_low <= true_median <= summary.ci_high
    assert 0.90 <= covered / 400 <= 0.99


@pytest.mark.parametrize(
    ("run_secs", "stable"),
    [
        ([1.0, 1.001, 0.999, 1.0, 1.002, 1.0], True),
        ([1.0, 1.001, 0.999, 1.0, 1.002], False),  # too few
        ([1.0], False),
        ([1.0, 1.5, 0.7, 1.2, 0.9, 1.1], False),  # too wide
        ([1.0] * 9 + [9.0], True),  # one outlier does not move the median
    ],
)
def test_stable_takes_enough_repeats_and_a_narrow_interval(run_secs: list[float], stable: bool) -> None:
    assert summarise(run_secs).is_stable is stable


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([1.0, 1.01, 0.99] * 4, [2.0, 2.02, 1.98] * 4, Verdict.FASTER),
        ([2.0, 2.02, 1.98] * 4, [1.0, 1.01, 0.99] * 4, Verdict.SLOWER),
        ([1.0, 1.001, 0.999] * 4, [1.0, 1.001, 0.999] * 4, Verdict.SAME),
        ([0.995, 0.9951, 0.9949] * 4, [1.0, 1.0001, 0.9999] * 4, Verdict.SAME),  # a difference nobody ships for
        ([0.5, 1.0, 2.0] * 4, [0.6, 1.1, 1.9] * 4, Verdict.AMBIGUOUS),
        ([1.0], [2.0], Verdict.AMBIGUOUS),
    ],
)
def test_verdicts(first: list[float], second: list[float], verdict: Verdict) -> None:
    assert compare(first, second).verdict is verdict


def test_the_same_repeats_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(1, 0.1, 10).tolist()
    assert summarise(values) == summarise(values)
    assert summarise(values) != summarise(values, seed=1)


@given(latencies)
def test_the_relative_interval_is_that_of_the_summary(run_secs: list[float]) -> None:
    summary, width = summarise(run_secs), relative_interval(run_secs)
    if summary.ci_low is None or summary.ci_high is None:
        assert width is None
    else:
        assert width == pytest.approx((summary.ci_high - summary.ci_low) / summary.median)


BLOCKS, BLOCK = 5, 3


def measured(random: np.random.Generator, latency_s: float = 1.0, between: float = 0.01) -> list[list[float]]:
    """Blocks whose level differs by `between`, of repeats that differ little and resemble the one before."""
    blocks = []
    for _ in range(BLOCKS):
        level = latency_s * math.exp(random.normal(0, between))
        noise = np.cumsum(random.normal(0, 0.002, BLOCK))
        blocks.append((level * np.exp(noise)).tolist())
    return blocks


def test_blocks_that_differ_widen_the_interval() -> None:
    blocks = measured(np.random.default_rng(0), between=0.03)
    flat = [value for block in blocks for value in block]
    in_blocks, as_one = summarise(blocks), summarise(flat)
    assert (in_blocks.median, in_blocks.repeats, in_blocks.p90) == (as_one.median, as_one.repeats, as_one.p90)
    assert in_blocks.ci_low is not None
    assert in_blocks.ci_high is not None
    assert as_one.ci_low is not None
    assert as_one.ci_high is not None
    assert in_blocks.ci_low < as_one.ci_low
    assert as_one.ci_high < in_blocks.ci_high
    assert relative_interval(blocks) == pytest.approx((in_blocks.ci_high - in_blocks.ci_low) / in_blocks.median)


def test_what_is_stable_in_each_block_need_not_be_so_from_block_to_block() -> None:
    apart = [[level] * BLOCK for level in (1.0, 1.05, 0.95, 1.03, 0.97)]
    assert summarise([value for block in apart for value in block]).is_stable is True
    assert summarise(apart).is_stable is False


def test_intervals_of_blocks_cover_the_truth_about_as_often_as_they_say() -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(400):
        summary = summarise(measured(random))
        assert summary.ci_low is not None
        assert summary.ci_high is not None
        covered += summary.ci_low <= 1.0 <= summary.ci_high
    assert 0.93 <= covered / 400 <= 1.0


def test_the_same_thing_is_hardly_ever_called_faster_and_five_percent_are_found() -> None:
    """The 95 % bootstrap of all repeats, the blocks forgotten, calls 7 % of such equal pairs different."""
    random = np.random.default_rng(2)
    verdicts = [compare(measured(random), measured(random)).verdict for _ in range(400)]
    assert sum(verdict in (Verdict.FASTER, Verdict.SLOWER) for verdict in verdicts) <= 0.02 * 400
    found = [compare(measured(random), measured(random, 1.05)).verdict for _ in range(400)]
    assert sum(verdict is Verdict.FASTER for verdict in found) >= 0.95 * 400
    assert Verdict.SLOWER not in found


def test_repeats_of_one_block_that_follow_each_other_count_for_less() -> None:
    random = np.random.default_rng(3)

    def alike() -> list[float]:
        noise = [random.normal(0, 0.01)]
        for _ in range(29):
            noise.append(0.6 * noise[-1] + 0.8 * random.normal(0, 0.01))
        return np.exp(noise).tolist()

    def wrong(runs: list[tuple[list[float], list[float]]]) -> int:
        return sum(compare(*run, same_within=0).verdict in (Verdict.FASTER, Verdict.SLOWER) for run in runs)

    runs = [(alike(), alike()) for _ in range(200)]
    shuffled = [(random.permutation(one).tolist(), random.permutation(other).tolist()) for one, other in runs]
    assert wrong(runs) <= 0.04 * 200
    assert wrong(shuffled) >= 2 * wrong(runs)


@pytest.mark.parametrize("blocks", [3, 5, 12])
def test_one_more_process_lies_in_the_interval_of_new_ones_as_often_as_that_says(blocks: int) -> None:
    """Each process has a level of its own, 1 % apart; the 95 % interval of the median misses every other one."""
    random = np.random.default_rng(blocks)
    levels = random.normal(0, 0.01, (600, blocks + 1))
    times = np.exp(levels[..., None] + random.normal(0, 0.002, (600, blocks + 1, 5)))
    in_new, in_old = 0, 0
    for of_all in times:
        known, further = of_all[:-1].tolist(), float(np.median(of_all[-1]))
        low, high = interval_of_another_block(known) or (math.nan, math.nan)
        own = summarise(known)
        in_new += low <= further <= high
        in_old += (own.ci_low or 0) <= further <= (own.ci_high or 0)
    assert 0.975 <= in_new / 600 <= 1.0
    assert in_old / 600 < 0.93


def test_two_processes_say_nothing_of_a_third() -> None:
    assert interval_of_another_block([[1.0, 1.1], [1.0, 1.2]]) is None
    assert interval_of_another_block([1.0, 1.1, 1.2]) is None
