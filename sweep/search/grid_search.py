"""`gridsearch`: the systematic enumeration of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search.space import Point, Space
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["GridStrategy"]


class GridStrategy:
    """Enumerates each space in a fixed order; the seed decides where it begins."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._seed = seed

    def search(self, workload: str, space: Space) -> GridSearch:
        """A search for one workload."""
        return GridSearch(space, space.random_index(generator(self._seed, "gridsearch", workload)))


class GridSearch:
    """The enumeration of one workload's points, in strides through the whole space."""

    def __init__(self, space: Space, start: int) -> None:
        self._visited, self._rest = Visited(), space.walk(start)

    def propose(self, count: int) -> Sequence[Point]:
        """The next points in order."""
        return self._visited.fresh(self._rest, count)

    def observe(self, observations: Sequence[Observation]) -> None:
        """Remember what need not be tried."""
        self._visited.add([observation.point for observation in observations])
