"""Points in the space of a workload whose nest is the same."""

from __future__ import annotations

import dataclasses

import pytest

from sweep.search.point_transfer import translated
from sweep.search.space import Design, Knob, Point, Space
from sweep.search.testing import conv_space

SPACE = conv_space(32, 12)
TILES = tuple(knob for knob in SPACE.designs[0].knobs if knob.axis is not None)
UNROLL = Knob("choice", ((0,), (16,), (64,), (512,)))
NEAR = Knob("location", ((-1,), (0,), (1,)))


def space(*designs: Design) -> Space:
    return dataclasses.replace(SPACE, designs=designs)


def taken(point: Point, space: Space) -> list[tuple[int, ...]]:
    knobs = space.designs[point[0]].knobs
    return [knob.choices[choice] for knob, choice in zip(knobs, point[1:], strict=True)]


ALONE = space(Design((*TILES, UNROLL)))
POINT = (0, *(len(knob.choices) // 2 for knob in TILES), 2)


def test_tiles_and_unrolling_are_kept_and_a_new_location_is_the_innermost() -> None:
    fused = space(Design((NEAR, *TILES[::-1], UNROLL)))
    found = translated(POINT, ALONE, fused)
    assert found is not None
    assert taken(found, fused) == [(1,), *taken(POINT, ALONE)[:-1][::-1], (64,)]


def test_there_and_back_is_the_same_point() -> None:
    fused = space(Design((*TILES, NEAR, UNROLL)))
    found = translated(POINT, ALONE, fused)
    assert found is not None
    assert translated(found, fused, ALONE) == POINT
    assert translated(POINT, ALONE, ALONE) == POINT


def test_the_design_that_fuses_what_follows_comes_first() -> None:
    target = space(Design((*TILES, UNROLL), is_fused=False), Design((*TILES, UNROLL), is_fused=True))
    found = translated(POINT, ALONE, target)
    assert found is not None
    assert found[0] == 1


@pytest.mark.parametrize(
    "target",
    [
        space(Design((*TILES[1:], UNROLL))),
        space(Design((*TILES, TILES[0], UNROLL))),
        space(Design((dataclasses.replace(TILES[0], choices=TILES[0].choices[1:]), *TILES[1:], UNROLL))),
        dataclasses.replace(ALONE, nest=conv_space(64, 12).nest),
        dataclasses.replace(ALONE, nest=None),
        space(),
    ],
    ids=["a tile less", "a tile more", "other tilings", "another nest", "no nest", "no design"],
)
def test_what_cannot_take_the_tiles_gets_no_point(target: Space) -> None:
    assert translated(POINT, ALONE, target) is None


def test_a_point_of_a_design_that_tiles_nothing_known_needs_one_with_its_knobs() -> None:
    """As those of one form of Winograd's convolution among those of another."""
    one, other = Knob("tile", ((1, 4), (2, 2), (4, 1))), Knob("tile", ((1, 2), (2, 1)))
    source = space(Design((*TILES, UNROLL)), Design((other, other)), Design((one, other)))
    target = space(Design((*TILES, NEAR, UNROLL)), Design((other, other)), Design((one, other)))
    assert translated((2, 1, 1), source, target) == (2, 1, 1)
    assert translated((2, 1, 1), source, space(*target.designs[:2])) is None
