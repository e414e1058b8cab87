"""Devices divided into few groups at least cost. Knows nothing of what a group costs.

Few configurations for many devices is the k-median problem with the devices as customers: to choose k configurations
and let each device take its best is to divide the devices into at most k groups that each share one configuration. What
makes it hard is the number of devices, not of configurations; so up to EXACT_DEVICES it is solved exactly: the cost of
each of the 2**N groups once, then the best group to take off each set of devices (3**N steps, in numpy).

Above that, groups are merged two at a time from single devices, the pair that costs least first, and each division is
then bettered by moving a device to another group or swapping two, until neither helps. That may miss the best; it is
exact still for one group, and for as many as there are devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_DEVICES", "Group", "Partition", "partitions"]

EXACT_DEVICES = 10
"""1,024 groups and 59,049 steps; each further device triples the steps."""
_GAIN = 1e-12
"""A move that gains less, relative to the cost, is rounding."""

Group = tuple[int, ...]
Cost = Callable[[Group], float]


@dataclass(frozen=True, slots=True)
class Partition:
    """A division of the devices into groups, and its total cost."""

    most: int
    """Groups it may have at most."""
    groups: Sequence[Group]
    """Devices by number, each group ascending, the groups by their first device."""
    cost: float
    is_exact: bool
    """Whether no other division into so many groups costs less."""


def partitions(devices: int, cost: Cost, *, exact_devices: int = EXACT_DEVICES) -> list[Partition]:
    """For each number of groups from 1 to `devices` the division that costs least, which never rises.

    cost: of a group that is not empty, numbers ascending, 0 or more; infinite for one that cannot be.
    A number of groups with which nothing was found that can be is left out.
    """
    cached = cache(cost)
    is_exact = devices <= exact_devices
    found = _exact(devices, cached) if is_exact else _merged(devices, cached)
    best: Partition | None = None
    told: list[Partition] = []
    for most in range(1, devices + 1):
        groups = sorted(found.get(most, []))
        total = sum(map(cached, groups)) if groups else math.inf
        # One group, and a group a device, leave nothing to search.
        exact_here = is_exact or most in (1, devices)
        if total < (math.inf if best is None else best.cost):
            best = Partition(most, groups, total, exact_here)
        elif best is not None:
            best = Partition(most, best.groups, best.cost, exact_here)
        told += [best] if best is not None else []
    return told


def _exact(devices: int, cost: Cost) -> dict[int, list[Group]]:
    """By dynamic programming over sets of devices, each a number with a bit a device."""
    sets = 1 << devices
    costs = np.array([math.inf, *(cost(_members(one)) for one in range(1, sets))])
    least = np.full((sets, devices + 1), math.inf)  # by set and number of groups, exactly so many
    least[0, 0] = 0.0
    last = np.zeros((sets, devices + 1), dtype=np.intp)
    for one in range(1, sets):
        groups = _with_first(one)
        totals = costs[groups, None] + least[one ^ groups, :-1]
        picked = totals.argmin(axis=0)
        least[one, 1:] = totals[picked, np.arange(devices)]
        last[one, 1:] = groups[picked]
    return {
        count: list(_unwound(last, sets - 1, count))
        for count in range(1, devices + 1)
        if least[sets - 1, count] < math.inf
    }


def _unwound(last: NDArray[np.intp], one: int, count: int) -> Iterator[Group]:
    while one:
        group = int(last[one, count])
        yield _members(group)
        one, count = one ^ group, count - 1


def _with_first(one: int) -> NDArray[np.intp]:
    """All subsets that have the lowest device of a set: the group of that device is one of them."""
    first = one & -one
    rest, subsets = one ^ first, []
    subset = rest
    while True:
        subsets.append(subset | first)
        if subset == 0:
            return np.array(subsets, dtype=np.intp)
        subset = (subset - 1) & rest


def _members(one: int) -> Group:
    return tuple(device for device in range(one.bit_length()) if one >> device & 1)


def _merged(devices: int, cost: Cost) -> dict[int, list[Group]]:
    """By merging and bettering; one group is looked at whatever the merging comes to."""
    groups: list[Group] = [(device,) for device in range(devices)]
    found = {}
    while len(groups) > 1:
        if math.isinf(sum(map(cost, groups))):
            break
        groups = _bettered(groups, cost)
        found[len(groups)] = groups
        one, other = min(combinations(groups, 2), key=lambda pair: cost(_union(*pair)) - cost(pair[0]) - cost(pair[1]))
        groups = [*(group for group in groups if group not in (one, other)), _union(one, other)]
    return found | {1: [tuple(range(devices))]}


def _bettered(groups: list[Group], cost: Cost) -> list[Group]:
    while (changed := next(_gains(groups, cost), None)) is not None:
        groups = changed
    return groups


def _gains(groups: list[Group], cost: Cost) -> Iterator[list[Group]]:
    """Divisions that cost less and are a move or a swap away; no group is left empty."""
    for one, other in combinations(groups, 2):
        before = cost(one) + cost(other)
        for changed in _changes(one, other):
            if cost(changed[0]) + cost(changed[1]) < before * (1 - _GAIN):
                yield [*(group for group in groups if group not in (one, other)), *changed]


def _changes(one: Group, other: Group) -> Iterator[tuple[Group, Group]]:
    for giver, taker in ((one, other), (other, one)):
        if len(giver) > 1:
            for device in giver:
                yield _without(giver, device), _union(taker, (device,))
    for mine in one:
        for theirs in other:
            yield _union(_without(one, mine), (theirs,)), _union(_without(other, theirs), (mine,))


def _union(one: Group, other: Group) -> Group:
    return tuple(sorted((*one, *other)))


def _without(group: Group, device: int) -> Group:
    return tuple(one for one in group if one != device)
