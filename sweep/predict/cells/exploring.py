"""In which order to measure cells of which nothing is known yet, so that few of them tell the most. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from random import Random

import numpy as np

__all__ = ["balanced_order", "values_to_learn"]

_CHOSEN_FROM = 5_000
_CHOSEN = 500
"""A choice looks at all cells that are left; of a larger grid a sample is as good."""


def balanced_order(
    points: Sequence[Mapping[str, Hashable]], groups: Sequence[Hashable], most: int, seed: int = 0
) -> list[int]:
    """Orders cells: each next one is of a group that was seen least, and shares the least with those before it.

    So a few cells show each network, and each value of each axis beside many values of the others. Cells at random
    show some values often and some never.

    Args:
        points: the cells, each with the same axes.
        groups: the group of each, whose cells compete.
        most: how many to choose so, 500 at most, from 5,000 at most; the rest follows at random.
        seed: decides between cells that are as good.

    Returns:
        All indices of `points`.
    """
    shuffled = list(range(len(points)))
    Random(seed).shuffle(shuffled)
    if not points:
        return shuffled
    some, rest = shuffled[:_CHOSEN_FROM], shuffled[_CHOSEN_FROM:]
    columns = [_numbered([points[index][axis] for index in some]) for axis in _varying(points)]
    pairs = [one * (int(other.max()) + 1) + other for one, other in combinations(columns, 2)]
    of_group = _numbered([groups[index] for index in some])
    a_group = (len(columns) + len(pairs)) * len(some)  # more than two cells can share
    seen_groups = np.zeros(int(of_group.max()) + 1)
    shared, chosen = np.zeros(len(some)), np.zeros(len(some), dtype=bool)
    order = []
    for _ in range(min(most, _CHOSEN, len(some))):
        place = int(np.where(chosen, np.inf, seen_groups[of_group] * a_group + shared).argmin())
        order.append(place)
        chosen[place] = True
        seen_groups[of_group[place]] += 1
        for column in (*columns, *pairs):
            shared += column == column[place]
    return [*(some[place] for place in (*order, *np.flatnonzero(~chosen).tolist())), *rest]


def values_to_learn(points: Sequence[Mapping[str, Hashable]]) -> int:
    """How many numbers say what each value of each axis does, alone: as many cells are the least to learn them from."""
    return 1 + sum(len({point[axis] for point in points}) - 1 for axis in _varying(points))


def _varying(points: Sequence[Mapping[str, Hashable]]) -> list[str]:
    return [axis for axis in (points[0] if points else ()) if len({point[axis] for point in points}) > 1]


def _numbered(values: Sequence[Hashable]) -> np.ndarray:
    """Each value by the order of its first appearance; shape [values]."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])
