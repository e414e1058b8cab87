"""Features and prior of tiles that are worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.search.learning.cost_model import BoostedTrees, CostModel
from sweep.search.learning.features import FeatureTable, body_of, footprints
from sweep.search.learning.prior import prior_cycles
from sweep.search.model_guided import XgbStrategy
from sweep.search.space import Access, Axis, CpuModel, Design, Knob, LoopNest, Point, Space
from sweep.search.strategy import Observation
from sweep.search.testing import conv_space, small_space

# 32 channels out and in, 12 x 12 positions, a kernel of 3 x 3
SPACE = conv_space(32, 12)
USUAL = {
    "oc": (1, 2, 2, 8),
    "oh": (3, 2, 1, 2),
    "ow": (3, 1, 2, 2),
    "ic": (8, 4),
    "kh": (3, 1),
    "kw": (1, 3),
    "padding": -1,
    "unroll": 512,
}


def rows(**changes: object) -> np.ndarray:
    """One point of design 0 by what its knobs are set to; the padding is computed outside."""
    wanted = USUAL | {"padding": 3} | changes
    values = [value if isinstance(value, tuple) else (value,) for value in wanted.values()]
    knobs = SPACE.designs[0].knobs
    return np.asarray([[knob.choices.index(value) for knob, value in zip(knobs, values, strict=True)]], np.int32)  # type: ignore[arg-type]


def cycles(space: Space = SPACE, design: int = 0, **changes: object) -> float:
    found = prior_cycles(space, FeatureTable(space), design, rows(**changes))
    assert found is not None
    return float(found[0])


def test_the_tiles_of_a_convolution() -> None:
    tiling = FeatureTable(SPACE).tiling(0, rows())
    assert tiling is not None
    assert tiling.spatial_axes == (0, 1, 2)
    assert tiling.reduction_axes == (3, 4, 5)
    assert tiling.spatial[0].tolist() == [[1, 2, 2, 8], [3, 2, 1, 2], [3, 1, 2, 2]]
    assert tiling.reduction[0].tolist() == [[8, 4], [3, 1], [1, 3]]
    inner = [[part[0].tolist() for part in tiling.inner(level)] for level in range(5)]
    assert inner == [
        [[8, 2, 2], [1, 1, 1]],  # the innermost tile alone
        [[8, 2, 2], [4, 1, 3]],  # with its reduction steps
        [[16, 2, 4], [4, 1, 3]],
        [[16, 2, 4], [32, 3, 3]],  # with the whole reduction
        [[32, 4, 4], [32, 3, 3]],
    ]


def test_what_a_tile_touches_in_bytes() -> None:
    assert SPACE.nest is not None
    tiling = FeatureTable(SPACE).tiling(0, rows())
    assert tiling is not None
    inner = [float(size[0]) for size in footprints(SPACE.nest, tiling, *tiling.inner(1))]
    # 8 x 2 x 2 results; 4 channels of 2 x (2 + 2) positions, since the kernel reaches 2 further; 8 x 4 x 1 x 3 weights
    assert inner == [4 * 8 * 2 * 2, 4 * 4 * 2 * 4, 4 * 8 * 4 * 1 * 3]
    whole = [float(size[0]) for size in footprints(SPACE.nest, tiling, *tiling.inner(4))]
    assert whole == [4 * 32 * 4 * 4, 4 * 32 * 6 * 6, 4 * 32 * 32 * 3 * 3]


def test_the_innermost_tile() -> None:
    assert SPACE.nest is not None
    tiling = FeatureTable(SPACE).tiling(0, rows(ow=(1, 1, 1, 12)))
    assert tiling is not None
    body = body_of(SPACE.nest, 8, tiling)
    # 12 lanes widen to 16, two registers of 8; 8 channels x 2 rows of them
    assert (body.along[0], body.vectors[0], body.broadcasts[0], body.accumulators[0]) == (12, 2, 16, 32)
    assert (body.filled[0], bool(body.is_odd[0]), body.steps[0]) == (12 / 16, True, 12)


def test_the_vector_runs_along_the_axis_of_stride_one() -> None:
    """The last dimension of the output may be two loops: depth to space."""
    spatial, reduction = Axis(4, False), Axis(4, True)
    nest = LoopNest((spatial, spatial, reduction), (Access((((1, 1), (0, 4)),), 4), Access((((2, 1),),), 4)))
    tiles = [Knob("tile", ((1, 1, 1, 4),), 0), Knob("tile", ((1, 1, 2, 2),), 1), Knob("tile", ((2, 2),), 2)]
    tiling = FeatureTable(Space((Design(tuple(tiles)),), nest)).tiling(0, np.zeros((1, 3), np.int32))
    assert tiling is not None
    assert body_of(nest, 8, tiling).along[0] == 2


def test_rows_have_one_width_whatever_the_design() -> None:
    known, other = SPACE.designs[0], Design((Knob("choice", ((0,), (1,))),))
    space = Space((known, other), SPACE.nest, flops=1e6)
    table = FeatureTable(space)
    one, two = table.of(0, rows()), table.of(1, np.zeros((1, 1), np.int32))
    assert one.shape == two.shape
    assert np.isfinite(one).all()
    search = XgbStrategy({"population": 16, "generations": 2}, 0).search("a", space)
    for _ in range(4):
        points = search.propose(16)
        search.observe([Observation(point, 1e-3 * (1 + point[-1])) for point in points])
    assert len(search.propose(4)) == 4


def test_a_design_without_a_prior_is_neither_favoured_nor_shut_out() -> None:
    known = SPACE.designs[0]
    strange = Design(tuple(Knob("choice", tuple((n,) for n in range(40))) for _ in range(3)))
    space = Space((known, strange), SPACE.nest)
    first = XgbStrategy({"population": 64}, 0).search("a", space).propose(32)
    assert 16 <= sum(point[0] == 0 for point in first) <= 32


@pytest.mark.parametrize(
    "nest",
    [
        None,
        LoopNest(
            (Axis(64, True),), (Access((), 4), Access((((0, 1),),), 4))
        ),  # the sum of everything: no axis is spatial
        LoopNest((Axis(64, False), Axis(64, True)), (Access((), 4), Access((((0, 1),), ((1, 1),)), 4))),
    ],
)
def test_a_nest_that_is_not_tiled_in_the_usual_way_has_no_prior(nest: LoopNest | None) -> None:
    space = Space((Design((Knob("tile", ((64, 1), (8, 8)), 0),)),), nest)
    table = FeatureTable(space)
    some = np.asarray([[0], [1]], np.int32)
    assert table.tiling(0, some) is None
    assert prior_cycles(space, table, 0, some) is None
    assert np.isfinite(table.of(0, some)).all()


# -- prior ------------------------------------------------------------------------------------------------------------


def test_a_vector_of_odd_length_costs_more() -> None:
    even = cycles(oc=(4, 1, 1, 8), ow=(3, 1, 1, 4))
    assert cycles(oc=(4, 1, 1, 8), ow=(4, 1, 1, 3)) > 2 * even


def test_accumulators_that_do_not_fit_the_registers_cost_more() -> None:
    fits = cycles(oc=(4, 1, 1, 8), oh=(12, 1, 1, 1), ow=(3, 1, 1, 4))
    assert cycles(oc=(1, 1, 1, 32), oh=(3, 1, 1, 4), ow=(3, 1, 1, 4)) > fits
    roomy = conv_space(32, 12, CpuModel(registers=256))
    large = {"oc": (1, 1, 1, 32), "oh": (3, 1, 1, 4), "ow": (3, 1, 1, 4)}
    assert cycles(roomy, **large) < cycles(**large)  # type: ignore[arg-type]


def test_loops_that_are_not_unrolled_cost_more() -> None:
    assert cycles(unroll=0) > cycles(unroll=512)


def test_a_second_loop_nest_and_padding_computed_at_each_use_cost_more() -> None:
    assert cycles(design=1) > cycles(design=0)
    assert cycles(padding=-2) > cycles(padding=3)
    assert cycles(padding=9) > cycles(padding=3)


def test_threads_share_the_work_as_far_as_there_are_outer_loops() -> None:
    four = conv_space(32, 12, CpuModel(threads=4))
    assert cycles(four) == pytest.approx(cycles() / 4)
    alone = {"oc": (1, 1, 1, 32), "oh": (1, 3, 2, 2), "ow": (1, 3, 2, 2)}
    assert cycles(four, **alone) == pytest.approx(cycles(**alone))  # type: ignore[arg-type]


# -- cost model -------------------------------------------------------------------------------------------------------


def test_spaces_of_like_decisions_share_a_model_and_others_do_not() -> None:
    assert conv_space(32, 12).signature == conv_space(64, 28).signature
    assert conv_space().signature != small_space().signature


def test_the_model_learns_how_wrong_the_prior_is_whatever_the_level_of_a_workload() -> None:
    model = CostModel(BoostedTrees, 0, retrain_every=8)
    rng = np.random.default_rng(0)
    features = rng.integers(0, 4, (200, 3)).astype(float)
    for workload, level in (("a", 1e-6), ("b", 1e-2)):
        for row in features[:100]:
            seconds = level * math.exp(row[1])
            model.add("s", workload, row, 0.0, None if row[2] == 3 else seconds)
    predicted = model.predict("s", features[100:], np.zeros(100))
    valid = features[100:, 2] != 3
    assert np.corrcoef(predicted[valid], features[100:][valid, 1])[0, 1] > 0.95
    assert predicted[~valid].mean() > predicted[valid].mean() + 1
    assert (model.predict("t", features[:2], np.asarray([1.0, 2.0])) == [1.0, 2.0]).all()


def test_a_clock_that_reads_zero_breaks_nothing() -> None:
    search = XgbStrategy({"population": 16, "generations": 2}, 0).search("a", SPACE)
    for seconds in (0.0, 1e-3):
        points: list[Point] = list(search.propose(16))
        search.observe([Observation(point, seconds) for point in points])
    assert len(search.propose(4)) == 4
