"""`random`: points drawn evenly. The baseline that learns nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search.space import Point, Space, as_points
from sweep.search.tuner import Observation, Visited, generator

__all__ = ["RandomTuner"]

_DRAWS = 8  # times that as many points as are missing are drawn before a space counts as used up
_SMALL = 4096  # a space of this size is shuffled as a whole


class RandomTuner:
    """Draws points evenly, each once."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._seed = seed

    def search(self, workload: str, space: Space) -> RandomSearch:
        """A search for one workload."""
        return RandomSearch(space, self._seed, workload)


class RandomSearch:
    """One workload."""

    def __init__(self, space: Space, seed: int, workload: str) -> None:
        self._space, self._visited = space, Visited()
        self._rng = generator(seed, "random", workload)
        self._shuffled: list[Point] | None = None
        if space.size <= _SMALL:
            self._shuffled = [space.point_at(int(index)) for index in self._rng.permutation(space.size)]

    def propose(self, count: int) -> Sequence[Point]:
        """Points not drawn before."""
        if self._shuffled is not None:
            return self._visited.fresh(self._shuffled, count)
        chosen: list[Point] = []
        for _ in range(_DRAWS):
            drawn = [
                point for design, rows in self._space.sample(count, self._rng) for point in as_points(design, rows)
            ]
            self._rng.shuffle(drawn)
            chosen += self._visited.fresh(drawn, count - len(chosen))
            if len(chosen) == count:
                break
        return chosen

    def observe(self, observations: Sequence[Observation]) -> None:
        """Remember what need not be drawn."""
        self._visited.add([observation.point for observation in observations])
