"""Designs of convolutions of one position each: right whatever the tile, and only where they apply."""

from __future__ import annotations

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_depthwise_designs import HOST, TWO_CORES, Layer, designs, run, workload
from tests.variants import only

pytestmark = pytest.mark.tvm


def pointwise(size: int, channels: int, multiplier: int = 1, stride: int = 1, window: int = 1) -> Layer:
    pads = (window // 2, window // 2)
    return Layer(size, channels, window, stride=stride, pads=pads, groups=1, multiplier=multiplier)


LAYERS = {
    "a row of 13": pointwise(13, 64, multiplier=2),
    "parts of a row": pointwise(12, 32, multiplier=5),
    "several rows": pointwise(3, 32, multiplier=4),
    "across the ends of rows": pointwise(14, 32, multiplier=2),
    "every second position": pointwise(13, 32, multiplier=2, stride=2),
    "every second position of an even number": pointwise(8, 64, multiplier=2, stride=2),
}


@pytest.mark.parametrize(
    ("order", "layer"),
    only(
        ("several rows", "across the ends of rows", "every second position"),
        {name: (i, one) for i, (name, one) in enumerate(LAYERS.items())},
    ),
)
def test_it_gives_what_the_unscheduled_program_gives(order: int, layer: Layer) -> None:
    module = workload(layer)
    space = designs(module)
    expected = run(module)
    assert expected.min() == 0 < expected.max(), "a test that cannot fail"
    [suggested] = space.suggested
    for point in (suggested, (len(space.space.designs) - 1, 0, 0)):
        scheduled = space.schedule(point)
        assert scheduled is not None
        assert scheduled.point == point
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-5, atol=1e-4)


def test_the_data_are_packed_and_sums_stay_in_registers() -> None:
    space = designs(workload(LAYERS["a row of 13"]))
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    text = scheduled.schedule.mod.script()
    assert "T.sblock_alloc_buffer((T.int64(13), T.int64(64), T.int64(13)))" in text, "by tile, channel and position"
    assert 'scope="local"' in text


def test_positions_that_a_stride_leaves_out_are_not_packed() -> None:
    space = designs(workload(LAYERS["every second position"]))
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == space.suggested[0]
    assert "T.sblock_alloc_buffer((T.int64(7), T.int64(32), T.int64(7)))" in scheduled.schedule.mod.script()


def test_a_tile_across_the_ends_of_rows_comes_behind_those_in_rows_and_is_tried_first() -> None:
    """Where it is better: a row of 14 has tiles of 2 and 14 positions."""
    space = designs(workload(LAYERS["across the ends of rows"]))
    [point] = space.suggested
    assert point[0] == len(space.space.designs) - 1
    scheduled = space.schedule(point)
    assert scheduled is not None
    assert "T.sblock_alloc_buffer((T.int64(49), T.int64(32), T.int64(4)))" in scheduled.schedule.mod.script()
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == point


def test_cores_share_tiles_and_packing() -> None:
    space = designs(workload(LAYERS["parts of a row"]), TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert scheduled.schedule.mod.script().count("T.parallel") == 2


@pytest.mark.parametrize(
    "layer",
    [
        pointwise(8, 32, 4, window=3),
        pointwise(8, 16, 8),
        pointwise(8, 32),
        Layer(8, 128, 1, pads=(0, 0)),
    ],
    ids=["window", "few channels", "few filters", "groups"],
)
def test_other_convolutions_have_none(layer: Layer) -> None:
    from sweep.toolchain.tuning.designs.pointwise_designs import pointwise_traces
    from sweep.toolchain.tvm_loader import resolve_target

    assert pointwise_traces(workload(layer), resolve_target(HOST), 8, 1) == []
