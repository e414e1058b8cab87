"""`random`: points drawn evenly. The baseline that learns nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.search.space import Point, Space, as_points
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["RandomSearch", "RandomStrategy"]

_DRAWS = 8  # times that as many points as are missing are drawn before what is left is enumerated
_SMALL = 4096  # a space of this size is shuffled as a whole


class RandomStrategy:
    """Draws points evenly, each once."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._seed = seed

    def search(self, workload: str, space: Space) -> RandomSearch:
        """A search for one workload."""
        return RandomSearch(space, self._seed, workload)


class RandomSearch:
    """Draws points of one workload. Other searches fall back on it, and then share their visited points with it."""

    def __init__(self, space: Space, seed: int, workload: str, visited: Visited | None = None) -> None:
        self._space, self._visited = space, Visited() if visited is None else visited
        self._rng = generator(seed, "random", workload)
        self._is_small = space.size <= _SMALL
        self._rest: Iterator[Point]
        if self._is_small:
            self._rest = iter([space.point_at(int(index)) for index in self._rng.permutation(space.size)])
        else:
            self._rest = space.walk(space.random_index(self._rng))

    def propose(self, count: int) -> list[Point]:
        """Points not drawn before; none when the whole space has been visited."""
        chosen: list[Point] = []
        # A search that is made again draws what it drew before: as many again as it was told of lead beyond them
        for amount in () if self._is_small else (count, _DRAWS * count + 2 * len(self._visited)):
            if len(chosen) == count:
                break
            drawn = [
                point for design, rows in self._space.sample(amount, self._rng) for point in as_points(design, rows)
            ]
            self._rng.shuffle(drawn)
            chosen += self._visited.fresh(drawn, count - len(chosen))
        return chosen + self._visited.fresh(self._rest, count - len(chosen))

    def observe(self, observations: Sequence[Observation]) -> None:
        """Remember what need not be drawn."""
        self._visited.add([observation.point for observation in observations])
