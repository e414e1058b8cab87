"""Tuners: all keep the contract, no two are the same search, and each finds what it is there to find."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import TuneFailed
from sweep.search.catalogue import make_tuner
from sweep.search.random_search import RandomSearch, RandomStrategy
from sweep.search.space import Design, Knob, Point, Space
from sweep.search.strategy import Observation, Visited
from sweep.search.testing import check_tuner, conv_space, decided_space, small_space
from sweep.study.tuners.own_tuner import SHIPPED
from sweep.study.tuners.tuner_forms import CATALOGUE
from tests.search.surfaces import Cost, distorted, tuned

SMALL: dict[str, Any] = {"population": 48, "generations": 2}  # enough to be right, and quick
NEEDED = {"mlp": "torch", "optuna": "optuna"}
HERE = [name for name in SHIPPED if importlib.util.find_spec(NEEDED.get(name, "numpy"))]
ALL = [
    pytest.param(name, marks=pytest.mark.skipif(name not in HERE, reason=f"needs {NEEDED.get(name)}"))
    for name in SHIPPED
]
COSTLY = ("mlp", "optuna")
"""The contract of each takes seven seconds."""
CONV = conv_space()


def test_a_study_can_name_every_tuner_and_no_other() -> None:
    assert {"none", *SHIPPED} == set(CATALOGUE)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(*one.values, marks=[*one.marks, *([pytest.mark.slow] if one.values[0] in COSTLY else [])])
        for one in ALL
    ],
)
def test_it_keeps_the_contract(name: str) -> None:
    check_tuner(lambda seed: make_tuner(name, SMALL, seed))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [1, 5, 16])
def test_a_small_space_is_searched_whole(name: str, count: int) -> None:
    space = small_space()
    search = make_tuner(name, SMALL, 0).search("a", space)
    found: list[Point] = []
    while points := search.propose(count):
        found += points
        search.observe([Observation(point, 1e-3 * (1 + sum(point))) for point in points])
    assert sorted(found) == sorted(space.point_at(index) for index in range(space.size))


@pytest.mark.parametrize("name", ALL)
def test_results_that_come_late_do_not_end_a_search_early(name: str) -> None:
    space = small_space()
    search = make_tuner(name, SMALL, 0).search("a", space)
    found = [point for _ in range(4) for point in search.propose(7)]
    assert len(found) == space.size
    search.observe([Observation(point, 1e-3) for point in found])
    assert not search.propose(7)


@pytest.mark.parametrize("name", ALL)
def test_a_space_of_nothing_ends_at_once(name: str) -> None:
    assert not make_tuner(name, {}, 0).search("a", Space(())).propose(4)
    assert list(make_tuner(name, {}, 0).search("a", decided_space()).propose(4)) == [(0,)]


@pytest.mark.parametrize("name", ALL)
def test_a_space_beyond_64_bits_and_one_with_a_tiny_design(name: str) -> None:
    wide = Design(tuple(Knob("choice", tuple((n,) for n in range(200))) for _ in range(10)))
    space = Space((wide, Design(())))
    assert space.size > 2**64
    assert len(set(make_tuner(name, SMALL, 0).search("a", space).propose(64))) == 64


def test_no_two_tuners_try_the_same() -> None:
    cost = distorted(CONV, 0)
    sequences = {name: [point for point, _ in tuned(name, CONV, cost, trials=32, options=SMALL)] for name in HERE}
    for one, other in itertools.combinations(sequences, 2):
        assert sequences[one] != sequences[other], (one, other)
        assert set(sequences[one]) != set(sequences[other]), (one, other)


def test_an_unknown_tuner_says_which_there_are() -> None:
    with pytest.raises(TuneFailed, match="no tuner 'annealing'; there are droplet, ga"):
        make_tuner("annealing", {}, 0)
    with pytest.raises(TuneFailed, match="cannot be made: ModuleNotFoundError"):
        make_tuner("no_such_module:Tuner", {}, 0)


# -- what each is for -------------------------------------------------------------------------------------------------


def best(tried: Sequence[tuple[Point, float]]) -> float:
    return min(seconds for _, seconds in tried)


def compared(name: str, options: Mapping[str, Any]) -> list[float]:
    """By how much each of five seeds is faster than random's best of as many trials."""
    ratios = []
    for seed in range(5):
        cost = distorted(CONV, seed)
        theirs = best(tuned("random", CONV, cost, seed=seed))
        ratios.append(theirs / best(tuned(name, CONV, cost, seed=seed, options=options)))
    return ratios


def test_xgb_finds_better_points_than_random() -> None:
    ratios = compared("xgb", {"population": 128})
    assert sum(ratio > 1 for ratio in ratios) >= 4
    assert np.median(ratios) > 2


def test_xgb_learns_from_what_it_measured() -> None:
    """In a space of which no prior is known, its later rounds are better than its first ones."""
    knobs = tuple(Knob("choice", tuple((n,) for n in range(30))) for _ in range(6))
    space = Space((Design(knobs), Design(knobs)))
    tried = tuned("xgb", space, bowl(space), trials=96, options={"population": 128})
    assert np.median([s for _, s in tried[-32:]]) < 0.5 * np.median([s for _, s in tried[:32]])


def test_ga_beats_random_on_average() -> None:
    assert np.mean(np.log(compared("ga", {}))) > 0


def test_ga_starts_as_random_as_random_and_then_does_not() -> None:
    cost = bowl(CONV)
    tried = tuned("ga", CONV, cost, trials=256, options={"population": 16})
    assert np.median([s for _, s in tried[-64:]]) < np.median([s for _, s in tried[:8]])


def test_droplet_goes_downhill_from_where_it_begins() -> None:
    """On a bowl every step ends at a better point, and the last one is the lowest of all."""
    space, cost = CONV, bowl(CONV)
    start = space.point_at(space.size // 3)
    search = make_tuner("droplet", {}, 0).search("a", space)
    search.observe([Observation(start, cost(start))])
    heights = [cost(start)]
    while heights[-1] > cost(lowest(space, start[0])):
        points = search.propose(2 * len(start))
        search.observe([Observation(point, cost(point)) for point in points])
        height = min(cost(point) for point in points)
        assert height < heights[-1]
        heights.append(height)
    assert len(heights) > 4


def test_droplet_begins_where_the_nest_should_be_fast() -> None:
    cost = distorted(CONV, 0)
    first = [seconds for _, seconds in tuned("droplet", CONV, cost, trials=16)]
    anywhere = [seconds for _, seconds in tuned("random", CONV, cost, trials=64)]
    assert np.median(first) < np.quantile(anywhere, 0.1)


def test_droplet_leaves_a_hollow_that_is_not_the_lowest() -> None:
    line = Space((Design((Knob("choice", tuple((n,) for n in range(60))),)),))
    height = [abs(n - 20) + 5 if n < 40 else abs(n - 50) for n in range(60)]
    search = make_tuner("droplet", {}, 0).search("a", line)
    search.observe([Observation((0, 20), 5.0)])
    found: list[Point] = []
    while len(found) < 59 and (0, 50) not in found:
        points = search.propose(4)
        found += points
        search.observe([Observation(point, float(height[point[1]])) for point in points])
    assert (0, 50) in found


def test_gridsearch_takes_every_point_once_and_the_first_far_apart() -> None:
    space = Space((Design((Knob("choice", tuple((n,) for n in range(1000))),)),))
    order = [point[1] for point in make_tuner("gridsearch", {}, 0).search("a", space).propose(1000)]
    assert sorted(order) == list(range(1000))
    assert np.diff(sorted(order[:16])).min() > 1000 / 16 / 3


def test_random_draws_what_is_left_of_a_space_that_is_nearly_used_up() -> None:
    knob = Knob("choice", tuple((n,) for n in range(100)))
    space = Space((Design((knob, knob)), Design(())))
    search = RandomStrategy({}, 0).search("a", space)
    left = {space.point_at(index) for index in (1, 5_000, 10_000)}
    search.observe([Observation(p, None) for p in map(space.point_at, range(space.size)) if p not in left])
    assert set(search.propose(16)) == left
    assert not search.propose(16)


def test_random_goes_on_drawing_where_it_is_made_again() -> None:
    class Unwalked(Space):
        def walk(self, start: int) -> Iterator[Point]:
            raise AssertionError("enumerated, not drawn")
            yield

    space = Unwalked(CONV.designs, CONV.nest)
    first, again = (RandomStrategy({}, 0).search("a", space) for _ in range(2))
    again.observe([Observation(point, 1e-3) for _ in range(40) for point in first.propose(16)])
    assert len(set(again.propose(16))) == 16


def test_searches_that_share_what_they_visited_do_not_propose_it_twice() -> None:
    visited = Visited()
    one, other = (RandomSearch(small_space(), 0, "a", visited) for _ in range(2))
    assert not set(one.propose(14)) & set(other.propose(14))
    assert not one.propose(1)


# -- spaces -----------------------------------------------------------------------------------------------------------


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    sizes = st.lists(st.integers(1, 5), max_size=4)
    designs = draw(st.lists(sizes, min_size=1, max_size=3))
    return Space(tuple(Design(tuple(Knob("choice", tuple((n,) for n in range(s))) for s in d)) for d in designs))


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_what_is_drawn_mutated_crossed_or_near_is_a_point(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for design, rows in space.sample(20, rng):
        sizes = np.asarray([len(knob.choices) for knob in space.designs[design].knobs], np.int32)
        for made in (rows, space.mutate(design, rows, rng), space.cross(rows, rows[::-1], rng)):
            assert made.shape == rows.shape
            assert ((made >= 0) & (made < sizes)).all()
        for row in rows[:2]:
            point = (design, *map(int, row))
            near = list(space.neighbours(point))
            assert all(sum(a != b for a, b in zip(point, other, strict=True)) == 1 for other in near)
            assert {point, *near} <= {space.point_at(index) for index in range(space.size)}


@given(spaces(), st.integers(0, 2**80))
@settings(max_examples=50, deadline=None)
def test_a_walk_takes_every_point_once(space: Space, start: int) -> None:
    points = list(space.walk(start))
    assert sorted(points) == sorted({space.point_at(index) for index in range(space.size)})


@given(spaces(), st.sampled_from(["random", "gridsearch", "ga", "droplet"]), st.integers(0, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_no_point_comes_twice_whatever_is_told_when(space: Space, name: str, seed: int, data: st.DataObject) -> None:
    search = make_tuner(name, {"population": 4}, seed).search("a", space)
    known: set[Point] = set()
    waiting: list[Point] = []
    for _ in range(8):
        points = search.propose(count := data.draw(st.integers(1, 6)))
        assert len(points) <= count
        assert not known & set(points)
        assert bool(points) == (len(known) < space.size)
        known.update(points)
        waiting += points
        told, waiting = waiting[: (n := data.draw(st.integers(0, len(waiting))))], waiting[n:]
        search.observe([Observation(p, data.draw(st.sampled_from([None, 1.0, 2.0]))) for p in told])


def lowest(space: Space, design: int) -> Point:
    return (design, *(len(knob.choices) // 2 for knob in space.designs[design].knobs))


def bowl(space: Space) -> Cost:
    """Lowest in the middle of each knob of a design, and with no other hollow."""

    def cost(point: Point) -> float:
        away = (n - middle for n, middle in zip(point[1:], lowest(space, point[0])[1:], strict=True))
        sizes = (len(knob.choices) for knob in space.designs[point[0]].knobs)
        return 1e-3 * (0.1 + sum((4 * d / size) ** 2 for d, size in zip(away, sizes, strict=True)))

    return cost


# -- the check itself -------------------------------------------------------------------------------------------------


class Broken:
    """A random search with one thing wrong."""

    def __init__(self, seed: int, wrong: Callable[[RandomSearch, int], Sequence[Point]]) -> None:
        self._seed, self._wrong = seed, wrong

    def search(self, workload: str, space: Space) -> Any:
        search = RandomSearch(space, self._seed, workload)

        class Search:
            propose = staticmethod(lambda count: self._wrong(search, count))
            observe = search.observe

        return Search()


FIXED = np.random.default_rng(0)
BREAKS: dict[str, tuple[Callable[[RandomSearch, int], Any], str]] = {
    "too many": (lambda search, count: search.propose(count + 1), "gave .* points"),
    "one twice": (lambda search, count: (search.propose(1) * 2)[:count], "had been"),
    "no point": (lambda search, count: [(7, 7)], "is no point"),
    "numpy's numbers": (lambda search, count: [tuple(np.int32(n) for n in p) for p in search.propose(count)], "is no"),
    "nothing": (lambda search, count: [], "nothing was proposed|another seed"),
    "no seed": (lambda search, count: sorted(search.propose(count), key=lambda _: FIXED.random()), "the same seed"),
}


@pytest.mark.parametrize(("wrong", "said"), BREAKS.values(), ids=BREAKS)
def test_the_check_finds_what_is_wrong(wrong: Callable[[RandomSearch, int], Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_tuner(lambda seed: Broken(seed, wrong))  # type: ignore[arg-type, return-value]


def test_the_check_finds_a_tuner_that_minds_failures_and_one_whose_seeds_are_one() -> None:
    class Minds(RandomStrategy):
        def search(self, workload: str, space: Space) -> Any:
            search = super().search(workload, space)
            search.observe = lambda observations: [o.seconds * 2 for o in observations]  # type: ignore[method-assign, assignment]
            return search

    with pytest.raises(AssertionError, match="observe raised TypeError"):
        check_tuner(lambda seed: Minds({}, seed))
    with pytest.raises(AssertionError, match="another seed gave the same"):
        check_tuner(lambda seed: RandomStrategy({}, 0))
