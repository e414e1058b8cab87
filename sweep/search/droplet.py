"""`droplet`: coordinate descent from the best point known.

A drop on a slope: measure the neighbours of the best point along each knob, move to the best of them, and where none is
better take a longer step, then begin again from another point. After Canesche et al., "The Droplet Search Algorithm for
Kernel Scheduling" (ACM TACO 2024); this is a search of our own, which takes the first point from earlier records or the
prior cost of the nest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search.learning.features import FeatureTable
from sweep.search.learning.prior import prior_cycles
from sweep.search.random_search import RandomSearch
from sweep.search.space import Point, Space, as_points
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["DropletStrategy"]

_LONGEST_STEP = 4
_STARTS = 4
_SAMPLE = 1024


class DropletStrategy:
    """Options: none of its own."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self._seed = seed

    def search(self, workload: str, space: Space) -> DropletSearch:
        """A search for one workload."""
        return DropletSearch(space, self._seed, workload)


class DropletSearch:
    """Coordinate descent over the points of one workload."""

    def __init__(self, space: Space, seed: int, workload: str) -> None:
        self._space, self._visited, self._table = space, Visited(), FeatureTable(space)
        self._random = RandomSearch(space, seed, f"droplet {workload}", self._visited)
        self._rng = generator(seed, "droplet", workload)
        self._known: dict[Point, float] = {}
        self._centre: Point | None = None
        self._exhausted: set[Point] = set()
        self._step = 1
        self._queue: list[Point] = []

    def propose(self, count: int) -> Sequence[Point]:
        """Neighbours of the best point, nearest first."""
        chosen: list[Point] = []
        while len(chosen) < count:
            self._queue = self._queue or self._near() or self._starts()
            if not self._queue:
                return chosen + self._random.propose(count - len(chosen))
            chosen += self._visited.fresh([self._queue.pop(0)], 1)
        return chosen

    def observe(self, observations: Sequence[Observation]) -> None:
        """Move where a better point was found."""
        self._visited.add([observation.point for observation in observations])
        for observation in observations:
            if observation.seconds is not None:
                self._known[observation.point] = observation.seconds
        best = self._best()
        if best is not None and best != self._centre:
            self._centre, self._step, self._queue = best, 1, []

    def _near(self) -> list[Point]:
        """New neighbours of the centre at the present step or longer ones; without any, the centre is given up."""
        while self._centre is not None:
            if self._step > _LONGEST_STEP:
                self._exhausted.add(self._centre)
                self._centre = None
                break
            near = [p for p in self._space.neighbours(self._centre, self._step) if p not in self._visited]
            self._step *= 2
            if near:
                self._rng.shuffle(near)
                return near
        return []

    def _starts(self) -> list[Point]:
        """Where there is no centre: the cheapest of a sample by prior cost; none where that is not known."""
        ranked: list[tuple[float, Point]] = []
        for design, rows in self._space.sample(_SAMPLE, self._rng):
            cycles = prior_cycles(self._space, self._table, design, rows)
            if cycles is not None:
                ranked += zip(map(float, cycles), as_points(design, rows), strict=True)
        return [point for _, point in sorted(set(ranked)) if point not in self._visited][:_STARTS]

    def _best(self) -> Point | None:
        open_points = [point for point in self._known if point not in self._exhausted]
        return min(open_points, key=lambda point: (self._known[point], point), default=None)
