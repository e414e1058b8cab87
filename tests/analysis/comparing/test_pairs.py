"""Pairs of blocks: when one looks, what each look demands, and how often it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.analysis.comparing.pairs import FIRST_LOOK, Pair, compare_pairs
from sweep.analysis.statistics import Verdict

WRONG = (Verdict.FASTER, Verdict.SLOWER)


def pairs(random: np.random.Generator, count: int, ratio: float = 1.0, noise: float = 0.01) -> list[Pair]:
    """Blocks of three; both of a pair share a drift that is far larger than what sets them apart."""
    found = []
    for index in range(count):
        drift = 1 + 0.3 * math.sin(index / 3)
        first, second = ((level * drift * np.exp(random.normal(0, noise, 3))).tolist() for level in (ratio, 1.0))
        found.append((first, second))
    return found


def test_nothing_is_said_before_the_first_look() -> None:
    assert compare_pairs([]) is None
    assert compare_pairs(pairs(np.random.default_rng(0), FIRST_LOOK - 1)) is None


def test_looks_are_at_fixed_numbers_of_pairs() -> None:
    taken = pairs(np.random.default_rng(0), 30, noise=0.2)
    seen = {count: compare_pairs(taken[:count]) for count in range(5, 31)}
    assert [(one.used, one.looks, one.wanted) for count, one in seen.items() if one and one.used == count] == [
        *((5, 1, 8), (8, 2, 12), (12, 3, 18), (18, 4, 27), (27, 5, 41)),
    ]
    assert seen[11] == seen[8]
    assert {one.found.verdict for one in seen.values() if one} == {Verdict.AMBIGUOUS}


def test_drift_that_hits_both_is_no_difference_and_hides_none() -> None:
    random = np.random.default_rng(1)
    same, faster = compare_pairs(pairs(random, 20, noise=0.005)), compare_pairs(pairs(random, 20, 0.95, noise=0.005))
    assert same is not None
    assert faster is not None
    assert (same.found.verdict, faster.found.verdict) == (Verdict.SAME, Verdict.FASTER)
    assert faster.found.ratio.value == pytest.approx(0.95, rel=0.01)


def test_a_verdict_stands_whatever_comes_after() -> None:
    random = np.random.default_rng(2)
    decided = compare_pairs(pairs(random, 5, 0.8))
    assert decided is not None
    assert decided.is_decided
    assert decided.wanted == decided.used == 5
    assert compare_pairs([*pairs(np.random.default_rng(2), 5, 0.8), *pairs(random, 40, 1.3)]) == decided


def test_a_later_look_has_to_be_surer() -> None:
    block = [1.0, 1.0, 1.0]
    alike = [([1.03], block), ([0.97], block)] * 40
    reaches = []
    for count in (5, 8, 12):
        found = compare_pairs(alike[:count])
        assert found is not None
        assert found.found.ratio.ci_high is not None
        logs = np.log([first[0] for first, _ in alike[:count]])
        in_errors = math.log(found.found.ratio.ci_high / found.found.ratio.value) / (logs.std(ddof=1) / count**0.5)
        reaches.append(in_errors)
    # Student's quantiles for 4, 7 and 11 degrees of freedom at 99.5, 99.83 and 99.92 % in turn
    assert reaches == pytest.approx([5.598, 4.944, 4.548], rel=0.01)


def test_looking_again_and_again_does_not_find_what_is_not_there() -> None:
    random, wrong, missed = np.random.default_rng(3), 0, 0
    for _ in range(300):
        equal = compare_pairs(pairs(random, 61, noise=0.05))
        other = compare_pairs(pairs(random, 61, 1.05, noise=0.02))
        wrong += equal is not None and equal.found.verdict in WRONG
        missed += other is None or other.found.verdict is not Verdict.SLOWER
    assert wrong <= 0.02 * 300
    assert missed <= 0.02 * 300


def test_an_error_is_no_latency() -> None:
    with pytest.raises(ValueError, match="repeat"):
        compare_pairs([([1.0, 0.0], [1.0])])
