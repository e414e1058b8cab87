"""Cells that are measured first: each group soon, and each value beside many others."""

from __future__ import annotations

from itertools import product

import pytest

from sweep.predict.cells.exploring import balanced_order, values_to_learn

AXES = {"model": "abcd", "level": "01234", "target": "xy", "device": ["here"]}
POINTS = [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]
GROUPS = [point["model"] for point in POINTS]


@pytest.mark.parametrize("seed", range(5))
def test_a_few_cells_show_each_group_and_each_value_as_often(seed: int) -> None:
    order = balanced_order(POINTS, GROUPS, 20, seed)
    assert sorted(order) == list(range(len(POINTS)))
    assert {GROUPS[index] for index in order[:4]} == set("abcd"), "each group before one comes again"
    first = [POINTS[index] for index in order[:20]]
    for axis, often in (("model", 5), ("level", 4), ("target", 10)):
        counts = [sum(point[axis] == value for point in first) for value in AXES[axis]]
        assert max(counts) - min(counts) <= 1, f"each value of {axis} some {often} times: {counts}"
    assert len({(point["model"], point["level"]) for point in first}) >= 16, "few pairs come again"


def test_a_seed_decides_alone() -> None:
    orders = [balanced_order(POINTS, GROUPS, 20, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_an_empty_grid_has_an_order() -> None:
    assert balanced_order([], [], 5) == []
    assert values_to_learn([]) == 1


def test_what_does_not_vary_is_not_to_be_learnt() -> None:
    assert values_to_learn(POINTS) == 1 + 3 + 4 + 1
