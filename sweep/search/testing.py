"""The contract of tuners as a test: `check_tuner` holds a tuner, shipped or a person's own, to `sweep.search.strategy`.

from sweep.search.testing import check_tuner

def test_my_tuner():
    check_tuner(lambda seed: MyTuner({"step": 2}, seed))
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sweep.search.space import Access, Axis, CpuModel, Design, Knob, LoopNest, Point, Space
from sweep.search.strategy import Observation, Search, SearchStrategy, generator

__all__ = ["check_tuner", "conv_space", "decided_space", "small_space"]

Outcome = Callable[[Point], float | None]


def check_tuner(make: Callable[[int], SearchStrategy]) -> None:
    """Hold a tuner to the whole contract. `make` gives a new tuner with a seed.

    Raises:
        AssertionError: which clause was broken, and by what.
    """
    for space, rounds, count in ((small_space(), 10, 3), (conv_space(), 4, 16)):
        for outcome in (_cost, _fails, _fails_in_part):
            _Watched(make(0).search("a", space), space).run(rounds, count, outcome)
    _Watched(make(0).search("a", small_space()), small_space()).run(28, 1, _cost)
    _check_exhaustion(make)
    _check_what_is_told_before(make)
    _check_partial_observations(make)
    _check_several_workloads(make)
    _check_seeds(make)


# -- spaces -----------------------------------------------------------------------------------------------------------


def small_space() -> Space:
    """28 points in two designs, of which nothing is known."""
    tiles = Knob("tile", ((8, 1), (4, 2), (2, 4), (1, 8)))
    unroll = Knob("choice", ((0,), (16,), (64,), (512,)))
    return Space((Design((tiles, unroll)), Design((Knob("location", ((-1,), (0,), (1,))), unroll), is_fused=False)))


def decided_space() -> Space:
    """One point: nothing is left to decide."""
    return Space((Design(()),))


def conv_space(channels: int = 64, size: int = 28, machine: CpuModel | None = None) -> Space:
    """A convolution of 3 x 3 with its nest: `channels` in and out, `size` x `size` positions."""
    spatial, reduction = (channels, size, size), (channels, 3, 3)
    axes = (*(Axis(extent, False) for extent in spatial), *(Axis(extent, True) for extent in reduction))
    oc, oh, ow, ic, kh, kw = range(6)
    nest = LoopNest(
        axes=axes,
        accesses=(
            Access((((oc, 1),), ((oh, 1),), ((ow, 1),)), 4),
            Access((((ic, 1),), ((oh, 1), (kh, 1)), ((ow, 1), (kw, 1))), 4),
            Access((((oc, 1),), ((ic, 1),), ((kh, 1),), ((kw, 1),)), 4, is_packed=True),
        ),
    )
    tiles = [Knob("tile", _factors(a.extent, 2 if a.reduces else 4), number) for number, a in enumerate(axes)]
    unroll = Knob("choice", ((0,), (16,), (64,), (512,)))
    padding = Knob("location", tuple((n,) for n in (-2, -1, 0, 3, 6, 9)))
    designs = (Design((*tiles, padding, unroll)), Design((*tiles, padding, unroll), is_fused=False))
    return Space(designs, nest, machine or CpuModel(), flops=2.0 * nest.calls)


def _factors(extent: int, parts: int) -> tuple[tuple[int, ...], ...]:
    if parts == 1:
        return ((extent,),)
    divisors = [n for n in range(1, extent + 1) if extent % n == 0]
    return tuple((n, *rest) for n in divisors for rest in _factors(extent // n, parts - 1))


# -- clauses ----------------------------------------------------------------------------------------------------------


class _Watched:
    """Wraps a search and checks each of its answers."""

    def __init__(self, search: Search, space: Space, told: Sequence[Point] = ()) -> None:
        self._search, self._space = search, space
        self._known = set(told)
        self.proposed: list[Point] = []

    def ask(self, count: int) -> list[Point]:
        """What it proposes, which must be in order."""
        points = list(self._search.propose(count))
        _hold(len(points) <= count, f"propose({count}) gave {len(points)} points")
        for point in points:
            _hold(_is_of(self._space, point), f"{point!r} is no point of the space")
            _hold(point not in self._known, f"{point!r} was proposed, though it had been proposed or told of before")
            self._known.add(point)
        self.proposed += points
        return points

    def tell(self, points: Sequence[Point], outcome: Outcome) -> None:
        """What became of points; the search must not mind."""
        self._known.update(points)
        try:
            self._search.observe([Observation(point, outcome(point)) for point in points])
        except Exception as error:
            raise AssertionError(f"observe raised {type(error).__name__}: {error}") from error

    def run(self, rounds: int, count: int, outcome: Outcome) -> list[Point]:
        """Rounds of proposals, each told before the next; ends when there are no more."""
        for _ in range(rounds):
            points = self.ask(count)
            if not points:
                break
            self.tell(points, outcome)
        return self.proposed


def _check_exhaustion(make: Callable[[int], SearchStrategy]) -> None:
    for space, outcome in itertools.product((small_space(), decided_space()), (_cost, _fails)):
        search = _Watched(make(0).search("a", space), space)
        proposed = search.run(space.size + 1, 16, outcome)
        _hold(bool(proposed), "nothing was proposed at all")
        _hold(not search.ask(1), "the search went on after it had said that there was no more")


def _check_what_is_told_before(make: Callable[[int], SearchStrategy]) -> None:
    for space in (small_space(), conv_space()):
        told = list(_some_points(space, 20))
        search = _Watched(make(0).search("a", space), space)
        search.tell(told, _cost)
        search.tell(told[:3], _cost)  # a search that is made again may be told of the same points again
        search.run(3, 8, _cost)


def _check_partial_observations(make: Callable[[int], SearchStrategy]) -> None:
    """Rounds overlap, results come late and in any order, and some come back as another point."""
    for space, count in ((small_space(), 3), (conv_space(), 10)):
        search = _Watched(make(0).search("a", space), space)
        open_points = search.ask(count)
        for turn in range(5):
            open_points += search.ask(count)
            arrived, open_points = open_points[::-2], open_points[-2::-2]
            search.tell(arrived, _fails_in_part if turn % 2 else _cost)
            search.tell([], _cost)
            search.tell(list(_some_points(space, turn)), _cost)
        search.tell(open_points, _cost)
        search.ask(count)


def _check_several_workloads(make: Callable[[int], SearchStrategy]) -> None:
    """One tuner serves them all, also of unlike spaces, and a search that is made anew."""
    tuner = make(0)
    spaces = {"a": conv_space(), "b": conv_space(32, 14), "c": small_space(), "d": decided_space()}
    searches = {name: _Watched(tuner.search(name, space), space) for name, space in spaces.items()}
    for _ in range(2):
        for search in searches.values():
            search.run(1, 8, _cost)
    again = _Watched(tuner.search("a", spaces["a"]), spaces["a"])
    again.tell(searches["a"].proposed, _cost)
    again.run(2, 8, _cost)


def _check_seeds(make: Callable[[int], SearchStrategy]) -> None:
    for space in (small_space(), conv_space()):
        first = _sequence(make, 0, space)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - global state must not decide
        _hold(_sequence(make, 0, space) == first, "the same seed and observations gave other proposals")
    large = conv_space()
    _hold(_sequence(make, 1, large) != _sequence(make, 0, large), "another seed gave the same proposals")


def _sequence(make: Callable[[int], SearchStrategy], seed: int, space: Space) -> list[Point]:
    return _Watched(make(seed).search("a", space), space).run(4, 8, _cost)


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _is_of(space: Space, point: object) -> bool:
    if not isinstance(point, tuple) or not all(isinstance(n, int) for n in point) or not point:
        return False
    if not 0 <= point[0] < len(space.designs):
        return False
    knobs = space.designs[point[0]].knobs
    return len(point) == len(knobs) + 1 and all(
        0 <= choice < len(knob.choices) for knob, choice in zip(knobs, point[1:], strict=True)
    )


def _some_points(space: Space, count: int) -> Iterator[Point]:
    return itertools.islice(space.walk(space.size // 3), count)


# -- what becomes of points -------------------------------------------------------------------------------------------


def _cost(point: Point) -> float | None:
    return 1e-3 * (1.0 + float(generator(0, "cost", point).random()))


def _fails(point: Point) -> float | None:
    return None


def _fails_in_part(point: Point) -> float | None:
    return None if generator(0, "failure", point).random() < 0.5 else _cost(point)
