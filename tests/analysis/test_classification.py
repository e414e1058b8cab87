"""Rates of predictions against counting by hand, and the arithmetic of agreement."""

from __future__ import annotations

from math import comb, prod, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.classification import UNANSWERED, agreement, quality_of, ranked_classes

LABELS = st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 6)), min_size=1, max_size=40)


@given(LABELS)
def test_rates_are_what_counting_gives(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(values) for values in zip(*pairs, strict=True))
    told = quality_of(predicted[:, None], labels, 7)
    hits = [sum(1 for label, guess in pairs if label == guess == one) for one in range(7)]
    rows = [sum(1 for label, _ in pairs if label == one) for one in range(7)]
    columns = [sum(1 for _, guess in pairs if guess == one) for one in range(7)]
    occurring = [one for one in range(7) if rows[one]]
    recalls = [hits[one] / rows[one] for one in occurring]
    precisions = [hits[one] / columns[one] if columns[one] else 0.0 for one in occurring]
    assert told["correct"] == sum(hits)
    assert told["accuracy"] == sum(hits) / len(pairs)
    assert told["mean_recall"] == pytest.approx(sum(recalls) / len(recalls))
    assert told["mean_precision"] == pytest.approx(sum(precisions) / len(precisions))
    assert told["g_mean"] == pytest.approx(prod(recalls) ** (1 / len(recalls)), abs=1e-12)
    assert told["unanswered"] == sum(guess == UNANSWERED for _, guess in pairs)
    counted = {(label, guess): count for label, guess, count in told["confusion"]}
    expected = {pair: pairs.count(pair) for pair in pairs if pair[1] != UNANSWERED}
    assert counted == expected


@given(st.integers(1, 2000), st.data())
def test_the_interval_is_wilsons(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    labels = np.zeros(count, int)
    told = quality_of(np.where(np.arange(count) < right, 0, 1)[:, None], labels, 2)
    z, share = 1.959963984540054, right / count
    middle, half = share + z * z / (2 * count), z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    ends = [(middle + sign * half) / (1 + z * z / count) for sign in (-1, 1)]
    assert [told["accuracy_ci_low"], told["accuracy_ci_high"]] == pytest.approx(ends, abs=1e-9)


@given(LABELS, st.data())
def test_mcnemar_is_the_coin_of_those_who_differ(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    labels = [label for label, _ in pairs]
    first = [guess for _, guess in pairs]
    second = data.draw(st.lists(st.integers(-1, 6), min_size=len(pairs), max_size=len(pairs)))
    told = agreement(first, second, labels)
    only = sum(a == t != b for a, b, t in zip(first, second, labels, strict=True))
    other = sum(b == t != a for a, b, t in zip(first, second, labels, strict=True))
    assert (told.only_first, told.only_second) == (only, other)
    assert told.same == sum(a == b for a, b in zip(first, second, strict=True)) / len(pairs)
    n = only + other
    tail = sum(comb(n, k) for k in range(min(only, other) + 1)) / 2**n
    assert told.p == pytest.approx(min(1.0, 2 * tail) if n else 1.0)
    back = agreement(second, first, labels)
    assert (back.only_first, back.only_second, back.p) == (other, only, pytest.approx(told.p))


def test_the_best_scores_come_first_and_equal_ones_by_class() -> None:
    scores = np.array([[0.1, 0.5, 0.5, 0.2], [np.nan, 1, 0, 0], [-np.inf, -1, 0, 3]], "float32")
    ranked = ranked_classes(scores, most=3)
    assert ranked.tolist() == [[1, 2, 3], [UNANSWERED] * 3, [3, 2, 1]]
    assert ranked_classes(np.array([[0.4], [0.6]])).tolist() == [[0, 1], [1, 0]]


def test_five_classes_have_no_top_five_and_more_have() -> None:
    ranked = np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1]])
    assert quality_of(ranked, np.array([4, 0]), 6)["top5"] == 0.5
    assert quality_of(ranked[:1], np.array([4]), 5)["top5"] is None
