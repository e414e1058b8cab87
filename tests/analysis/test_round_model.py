"""Estimates from blocks of rounds: what the sentinel kernel tells is taken out, and intervals hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.analysis.round_model import RoundBlock, estimates
from tests.analysis.coverage import KINDS, coverage

KERNEL_S = 1e-3


def blocks(times: np.ndarray, kernel: np.ndarray) -> list[RoundBlock]:
    return [
        RoundBlock(cell, number, float(times[number, cell]), float(kernel[number]))
        for number in range(times.shape[0])
        for cell in range(times.shape[1])
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold_the_truth_about_as_often_as_they_say(kind: str) -> None:
    assert 0.90 <= coverage(kind, 180).share <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [5, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_of_a_thousand_cells_hold_the_truth(kind: str, rounds: int) -> None:
    assert 0.92 <= coverage(kind, 1_000, rounds).share <= 0.98


def test_an_interval_knows_what_an_elasticity_that_few_blocks_tell_may_hide() -> None:
    """All rounds are slow by a fifth, and alike: how much a cell slows when the kernel does is then a guess."""
    draw = np.random.default_rng(5)
    times = 2.0 * np.exp(draw.normal(0, 0.002, (10, 3)))
    usual, slow = (estimates(blocks(times * by, np.full(10, KERNEL_S * by)), KERNEL_S) for by in (1.0, 1.2))
    half = [math.log((one[0].ci_high_s or math.inf) / (one[0].ci_low_s or 0.0)) / 2 for one in (usual, slow)]

    assert half[0] < 0.005
    assert half[1] > 0.03


def test_a_slow_machine_is_taken_out_as_far_as_the_kernel_shows_it() -> None:
    draw = np.random.default_rng(0)
    state = np.asarray([1.0, 1.0, 1.3, 1.3, 1.0, 1.3, 1.3, 1.0])
    times = state[:, None] * np.asarray([2.0, 5.0]) * np.exp(draw.normal(0, 0.005, (8, 2)))

    found = estimates(blocks(times, KERNEL_S * state), KERNEL_S)

    assert [found[cell].latency_s for cell in (0, 1)] == pytest.approx([2.0, 5.0], rel=0.02)
    assert np.median(times[:, 0]) > 2.2, "the raw median lies between the states"


def test_few_rounds_have_wide_intervals_and_one_has_none() -> None:
    times = 2.0 * np.exp(np.random.default_rng(1).normal(0, 0.01, (8, 10, 3)))
    widths = {}
    for rounds in (2, 3, 10):
        found = [
            one for each in times for one in estimates(blocks(each[:rounds], np.full(rounds, KERNEL_S)), None).values()
        ]
        widths[rounds] = np.median([(one.ci_high_s or math.inf) / (one.ci_low_s or 0.0) for one in found])
    (single,) = estimates(blocks(times[0][:1, :1], np.full(1, KERNEL_S)), None).values()

    assert widths[2] > widths[3] > widths[10]
    assert (single.ci_low_s, single.ci_high_s, single.rounds) == (None, None, 1)
    assert single.latency_s == pytest.approx(times[0, 0, 0])


def test_the_same_blocks_give_the_same_estimates_and_none_gives_none() -> None:
    times = 1.0 + np.arange(12.0).reshape(4, 3) / 100

    first, second = (estimates(blocks(times, np.full(4, KERNEL_S)), None) for _ in range(2))

    assert first == second
    assert estimates([], None) == {}
