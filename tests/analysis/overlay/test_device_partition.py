"""Divisions of devices, against all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.overlay.device_partition import Group, partitions


def divisions(devices: list[int]) -> Iterator[list[Group]]:
    if not devices:
        yield []
        return
    first, rest = devices[0], devices[1:]
    for others in divisions(rest):
        yield [(first,), *others]
        for at, group in enumerate(others):
            yield [*others[:at], (first, *group), *others[at + 1 :]]


class Costs:
    """Any cost of any group, also one that makes no sense, some of them infinite."""

    def __init__(self, seed: list[float]) -> None:
        self.seed = seed

    def __call__(self, group: Group) -> float:
        assert group == tuple(sorted(set(group)))
        return self.seed[sum(1 << device for device in group) - 1]


@st.composite
def costs(draw: st.DrawFn) -> tuple[int, Costs]:
    devices = draw(st.integers(1, 5))
    value = st.one_of(st.integers(0, 9).map(float), st.integers(0, 9).map(float), st.just(math.inf))
    return devices, Costs(draw(st.lists(value, min_size=2**devices - 1, max_size=2**devices - 1)))


@given(costs())
@settings(deadline=None)
def test_it_is_the_least_of_all_divisions(case: tuple[int, Costs]) -> None:
    devices, cost = case
    every = [(len(groups), sum(map(cost, groups))) for groups in divisions(list(range(devices)))]
    found = {one.most: one for one in partitions(devices, cost)}
    for most in range(1, devices + 1):
        least = min(total for count, total in every if count <= most)
        if math.isinf(least):
            assert most not in found
        else:
            assert found[most].cost == least == sum(map(cost, found[most].groups))
            assert found[most].is_exact


@given(costs(), st.booleans())
@settings(deadline=None)
def test_groups_are_a_division_into_as_many_at_most_and_the_cost_never_rises(
    case: tuple[int, Costs], exact: bool
) -> None:
    devices, cost = case
    found = partitions(devices, cost, exact_devices=5 if exact else 0)
    for one in found:
        assert sorted(device for group in one.groups for device in group) == list(range(devices))
        assert 1 <= len(one.groups) <= one.most
        assert math.isfinite(one.cost)
    assert [one.cost for one in found] == sorted((one.cost for one in found), reverse=True)
    assert [one.most for one in found] == list(range(devices - len(found) + 1, devices + 1))


@pytest.mark.parametrize("exact_devices", [0, 8])
def test_devices_that_lie_together_are_found_together(exact_devices: int) -> None:
    places = [0, 10, 1, 11, 2, 30]
    found = partitions(
        6,
        lambda group: float(max(places[one] for one in group) - min(places[one] for one in group)),
        exact_devices=exact_devices,
    )
    assert found[2].groups == [(0, 2, 4), (1, 3), (5,)]
    assert [one.cost for one in found] == [30, 11, 3, 2, 1, 0]
    exact = [True] * 6 if exact_devices else [True, False, False, False, False, True]
    assert [one.is_exact for one in found] == exact


def test_a_swap_is_found_where_no_single_move_helps() -> None:
    """Groups of two alone are cheap, and the pairs that merge first are not those of the best division."""
    pairs = {(0, 1): 1.0, (2, 3): 9.0, (0, 2): 2.0, (1, 3): 2.0, (0, 3): 5.0, (1, 2): 5.0}
    found = partitions(4, lambda group: {1: 2.0, 2: pairs.get(group, 0.0)}.get(len(group), 20.0), exact_devices=0)
    assert found[1].cost == 4.0
    assert found[1].groups == [(0, 2), (1, 3)]
