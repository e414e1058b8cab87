"""`ga`: a population that evolves by measured fitness alone, with no model in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweep.search.random_search import RandomSearch
from sweep.search.space import Point, Space, as_points
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["GeneticStrategy"]

_TOURNAMENT = 3
_TRIES = 16


class GeneticStrategy:
    """Options: population, the number of fittest points that are parents."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._population = int(options.get("population") or 32)
        self._seed = seed

    def search(self, workload: str, space: Space) -> GeneticSearch:
        """A search for one workload."""
        return GeneticSearch(space, self._population, self._seed, workload)


class GeneticSearch:
    """A population of points of one workload."""

    def __init__(self, space: Space, population: int, seed: int, workload: str) -> None:
        self._space, self._population = space, population
        self._visited = Visited()
        self._rng = generator(seed, "ga", workload)
        self._first = RandomSearch(space, seed, f"ga {workload}", self._visited)
        self._fitness: dict[Point, float] = {}

    def propose(self, count: int) -> Sequence[Point]:
        """Random points until half a population has been measured, then children of the fittest."""
        if len(self._fitness) < max(2, self._population // 2):
            return self._first.propose(count)
        chosen: list[Point] = []
        parents = sorted(self._fitness, key=lambda point: (self._fitness[point], point))[: self._population]
        for _ in range(_TRIES):
            missing = count - len(chosen)
            if not missing:
                break
            chosen += self._visited.fresh([self._child(parents) for _ in range(missing)], missing)
        return chosen + self._first.propose(count - len(chosen))  # where what is near the fittest has been tried

    def observe(self, observations: Sequence[Observation]) -> None:
        """Take fitness in."""
        self._visited.add([observation.point for observation in observations])
        for observation in observations:
            if observation.seconds is not None:
                self._fitness[observation.point] = observation.seconds

    def _child(self, parents: Sequence[Point]) -> Point:
        """A child of two tournament winners of one design, mutated."""
        mother = self._winner(parents)
        father = self._winner([point for point in parents if point[0] == mother[0]])
        rows = np.asarray([mother[1:]], np.int32), np.asarray([father[1:]], np.int32)
        child = self._space.cross(*rows, self._rng) if self._rng.random() < 0.7 else rows[0]
        return as_points(mother[0], self._space.mutate(mother[0], child, self._rng))[0]

    def _winner(self, parents: Sequence[Point]) -> Point:
        """The fittest of a few, which come sorted by fitness."""
        return parents[int(self._rng.integers(len(parents), size=_TOURNAMENT).min())]
