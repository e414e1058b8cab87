"""Designs of convolutions of one position in several groups: right whatever the tile, and only where they apply."""

from __future__ import annotations

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_depthwise_designs import HOST, TWO_CORES, Layer, designs, run, workload
from tests.variants import only

pytestmark = pytest.mark.tvm


def grouped(size: int, channels: int, groups: int, multiplier: int = 1) -> Layer:
    return Layer(size, channels, 1, pads=(0, 0), groups=groups, multiplier=multiplier)


LAYERS = {
    "no whole vector": grouped(4, 40, 4),
    "vectors of one register": grouped(6, 32, 4),
    "several tiles of a group": grouped(4, 36, 2, multiplier=4),
    "a position that shares with no other": grouped(1, 40, 4),
}


@pytest.mark.parametrize("layer", only(("no whole vector", "several tiles of a group"), LAYERS))
def test_it_gives_what_the_unscheduled_program_gives(layer: Layer) -> None:
    module = workload(layer)
    space = designs(module)
    expected = run(module)
    assert expected.min() == 0 < expected.max(), "a test that cannot fail"
    first = space.suggested[0][0]
    last = space.space.designs[-1]
    for point in (space.suggested[0], (len(space.space.designs) - 1, *(len(knob.choices) - 1 for knob in last.knobs))):
        assert point[0] >= first
        scheduled = space.schedule(point)
        assert scheduled is not None
        assert scheduled.point == point
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-5, atol=1e-4)


def test_sums_stay_in_registers_and_nothing_is_packed() -> None:
    space = designs(workload(LAYERS["several tiles of a group"]))
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    text = scheduled.schedule.mod.script()
    assert 'scope="local"' in text
    assert text.count("sblock_alloc_buffer") == 4, "sums in registers and of a group; weights and biases"


def test_cores_share_tiles() -> None:
    module = workload(LAYERS["no whole vector"])
    space = designs(module, TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert scheduled.schedule.mod.script().count("T.parallel") == 1
    np.testing.assert_allclose(run(scheduled.schedule.mod), run(module), rtol=1e-5, atol=1e-4)


def test_they_come_behind_those_of_tvm_and_a_trace_is_found_again() -> None:
    space = designs(workload(LAYERS["no whole vector"]))
    first = space.suggested[0]
    tiled = [any(knob.axis is not None for knob in design.knobs) for design in space.space.designs]
    assert tiled == [True] * first[0] + [False] * (len(tiled) - first[0])
    scheduled = space.schedule(first)
    assert scheduled is not None
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == first


@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_of_other_cpus_have_tiles_too(lanes: int) -> None:
    """Those of 16 lanes with half of them, where a group is no whole number of such vectors."""
    from sweep.toolchain.tuning.designs.grouped_designs import grouped_traces
    from sweep.toolchain.tvm_loader import resolve_target

    assert grouped_traces(workload(LAYERS["several tiles of a group"]), resolve_target(HOST), lanes, 1)


@pytest.mark.parametrize(
    "layer",
    [grouped(8, 32, 1, 4), Layer(8, 16, 3, groups=4), Layer(8, 128, 1, pads=(0, 0))],
    ids=["one group", "window", "depthwise"],
)
def test_other_convolutions_have_none(layer: Layer) -> None:
    from sweep.toolchain.tuning.designs.grouped_designs import grouped_traces
    from sweep.toolchain.tvm_loader import resolve_target

    assert grouped_traces(workload(layer), resolve_target(HOST), 8, 1) == []


@pytest.mark.parametrize(
    ("positions", "vectors", "registers", "best"),
    [(196, 9, 16, (4, 3)), (784, 5, 16, (2, 5)), (3136, 4, 16, (2, 4)), (49, 9, 32, (7, 3))],
)
def test_the_best_tile_loads_little_a_product_and_fits(
    positions: int, vectors: int, registers: int, best: tuple[int, int]
) -> None:
    from sweep.toolchain.tuning.designs.grouped_designs import tiles_of

    assert tiles_of(positions, vectors, registers)[0] == best
