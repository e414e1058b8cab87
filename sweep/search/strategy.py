"""The interface of tuners, which the shipped ones and a user's own implement.

A `SearchStrategy` serves all workloads of one target on one device, and may use for the next what one has taught it.
For each workload it makes a `Search`. The contract, which `sweep.search.testing.check_tuner` holds every tuner to:

- `propose(count)` returns at most `count` points, none of which this search has proposed or been told of before. An
  empty answer means that the search has no more.
- `observe` tells what became of points: those proposed, each once, in any order and any number at a time, but for those
  that were lost with a board; and, before the first `propose`, what earlier runs have measured. A point may also come
  back as another, the one that was carried out.
- The same seed, options, space and observations give the same proposals. Nothing else may decide: no clock, no global
  random state.
- A search never raises for a point that failed (`seconds` is None).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sweep.search.space import Point, Space

__all__ = ["Observation", "Search", "SearchStrategy", "Visited", "generator"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a point."""

    point: Point
    seconds: float | None
    """Median of the measured repeats; None for a point that has no schedule, did not build or did not run."""


class Search(Protocol):
    """The search for one workload."""

    def propose(self, count: int) -> Sequence[Point]:
        """The next points to be measured."""

    def observe(self, observations: Sequence[Observation]) -> None:
        """What became of points."""


class SearchStrategy(Protocol):
    """A strategy with its options. The constructor raises ValueError for an option it refuses."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None: ...

    def search(self, workload: str, space: Space) -> Search:
        """A search for one workload."""


class Visited:
    """Points that need not be proposed again."""

    def __init__(self) -> None:
        self._points: set[Point] = set()

    def __contains__(self, point: Point) -> bool:
        return point in self._points

    def __len__(self) -> int:
        return len(self._points)

    def add(self, points: Iterable[Point]) -> None:
        """Remember points."""
        self._points.update(points)

    def fresh(self, points: Iterable[Point], count: int) -> list[Point]:
        """The first `count` points that are new, each once; they are remembered. No more are taken than are needed."""
        chosen: list[Point] = []
        if count <= 0:
            return chosen
        for point in points:
            if point not in self._points:
                self._points.add(point)
                chosen.append(point)
                if len(chosen) == count:
                    break
        return chosen


def generator(seed: int, *parts: object) -> np.random.Generator:
    """A random generator from a seed and what makes this use of it different."""
    digest = hashlib.sha256(repr((seed, *parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
