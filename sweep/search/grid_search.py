"""`gridsearch`: the systematic enumeration of a space.

The points of a space are numbered; a stride near the golden section of their number, and prime to it, visits each once
and the first few far apart. Counting upwards would try every unroll limit for one tiling before the second tiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search.space import Point, Space
from sweep.search.tuner import Observation, Visited, generator

__all__ = ["GridTuner"]

_GOLDEN = (math.sqrt(5) - 1) / 2


class GridTuner:
    """Enumerates each space in a fixed order; the seed decides where it begins."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._seed = seed

    def search(self, workload: str, space: Space) -> GridSearch:
        """A search for one workload."""
        return GridSearch(space, int(generator(self._seed, "gridsearch", workload).integers(space.size)))


class GridSearch:
    """One workload."""

    def __init__(self, space: Space, start: int) -> None:
        self._space, self._visited = space, Visited()
        self._next, self._left = start, space.size
        self._stride = max(1, round(space.size * _GOLDEN))
        while math.gcd(self._stride, space.size) != 1:
            self._stride += 1

    def propose(self, count: int) -> Sequence[Point]:
        """The next points in order."""
        chosen: list[Point] = []
        while len(chosen) < count and self._left:
            chosen += self._visited.fresh([self._space.point_at(self._next)], 1)
            self._next = (self._next + self._stride) % self._space.size
            self._left -= 1
        return chosen

    def observe(self, observations: Sequence[Observation]) -> None:
        """Remember what need not be tried."""
        self._visited.add([observation.point for observation in observations])
