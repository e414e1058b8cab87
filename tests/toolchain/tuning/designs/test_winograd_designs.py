"""Designs of convolutions by Winograd's forms: right in all shapes, and only where they apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.toolchain.winograd.winograd_form import FORMS
from tests.toolchain.winograd.layers import HOST, TWO_CORES, Layer, arguments_of, run, workload
from tests.variants import only

pytestmark = pytest.mark.tvm

F23, F43 = FORMS
LAYERS = {
    "whole tiles, nothing behind": (F43, Layer((8, 12), 16, 16, bare=True)),
    "parts of tiles": (F43, Layer((7, 13), 16, 24)),
    "not padded, two images": (F43, Layer((9, 10), 24, 16, pads=(0, 0), images=2)),
    "padded on one side": (F23, Layer((7, 9), 16, 32, pads=(0, 1))),
    "an addition behind it": (F23, Layer((5, 6), 16, 16, adds=True)),
}


def designs(module: Any, target: dict[str, Any] | None = None) -> Any:
    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    return Designs(module, resolve_target(target or HOST), "winograd", 1)


def own_traces(module: Any) -> Any:
    from sweep.toolchain.tuning.designs.winograd_designs import winograd_traces
    from sweep.toolchain.tvm_loader import resolve_target

    return winograd_traces(module, resolve_target(HOST), 8, 1)


def form_of(space: Any, design: int) -> Any:
    """By the shape of the transformed weights."""
    weights = space.program(design)["main"].params[1]
    return next(form for form in FORMS if form.size == int(weights.ty.shape[0]))


@pytest.mark.parametrize(("form", "layer"), only(("parts of tiles", "an addition behind it"), LAYERS))
def test_it_gives_what_the_unscheduled_convolution_gives(form: Any, layer: Layer) -> None:
    module = workload(layer)
    space = designs(module)
    given = arguments_of(module)
    expected = run(module, given)
    point = next(one for one in space.suggested if form_of(space, one[0]) is form)
    scheduled = space.schedule(point)
    assert scheduled is not None
    assert scheduled.point == point
    assert "winograd_products_local" in scheduled.schedule.mod.script(), "sums are in registers"
    given[1] = form.transformed(given[1])
    found = run(scheduled.schedule.mod, given)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_they_come_behind_those_of_tvm_and_a_trace_is_found_again() -> None:
    """Records have the number of their design, and are read again by their trace."""
    module = workload(Layer((8, 8), 16, 16))
    space = designs(module)
    own = sorted({point[0] for point in space.suggested})
    tiled = [any(knob.axis is not None for knob in design.knobs) for design in space.space.designs]
    assert tiled == [True] * own[0] + [False] * 2
    assert own == [len(tiled) - 2, len(tiled) - 1]
    assert all(space.program(design) is module for design in range(own[0]))
    for point in (space.suggested[0], space.suggested[1]):
        scheduled = space.schedule(point)
        assert scheduled is not None
        assert space.point_of(scheduled.schedule.trace) == point


@pytest.mark.parametrize(("size", "form"), [(7, F23), (14, F43)], ids=["few tiles", "many tiles"])
def test_the_form_of_less_work_is_tried_first(size: int, form: Any) -> None:
    """Larger tiles have fewer products and more weights, which few tiles read as often as many."""
    space = designs(workload(Layer((size, size), 16, 16)))
    assert form_of(space, space.suggested[0][0]) is form


@pytest.mark.parametrize(
    ("layer", "share"),
    [
        (Layer((8, 12), 16, 16), 36 / 144),
        (Layer((7, 7), 16, 16), 4 * 36 / (9 * 49)),
        (Layer((8, 8), 16, 16, stride=2), 1),
    ],
)
def test_trials_are_shared_out_by_the_fewest_products_that_a_layer_needs(
    tmp_path: Path, layer: Layer, share: float
) -> None:
    """Else a layer in a form shows a device that computes three times as fast as it can, and all others as slow."""
    from tvm.ir import save_json

    from sweep.search.catalogue import make_tuner
    from sweep.toolchain.tuning.designs.loop_nest import flops_of
    from sweep.toolchain.tuning.job import TuningTask
    from sweep.toolchain.tuning.records.record_store import RecordStore
    from sweep.toolchain.tuning.space.search_factory import SearchFactory
    from sweep.toolchain.tvm_loader import resolve_target

    module = workload(layer)
    (tmp_path / "task.json").write_text(save_json(module), encoding="utf-8")
    factory = SearchFactory(make_tuner("random", {}, 0), resolve_target(HOST), RecordStore(tmp_path / "records"))
    work = factory.work_of(TuningTask("0", "layer", 1, False, tmp_path / "task.json"))

    assert work[0] == pytest.approx(share * flops_of(module))


def test_cores_share_the_tiles() -> None:
    space = designs(workload(Layer((8, 8), 16, 16)), TWO_CORES)
    best = space.suggested[0]
    rows, columns, _ = (knob.choices[at] for knob, at in zip(space.space.designs[best[0]].knobs, best[1:], strict=True))
    assert rows[0] * columns[0] >= 2, "each has some"
    scheduled = space.schedule(best)
    assert scheduled is not None
    assert "T.parallel" in scheduled.schedule.mod.script()


@pytest.mark.parametrize(
    "layer",
    [
        Layer((8, 8), 16, 16, window=1, pads=(0, 0)),
        Layer((9, 9), 16, 16, window=5, pads=(2, 2)),
        Layer((8, 8), 16, 16, stride=2),
        Layer((8, 8), 16, 16, dilation=2, pads=(2, 2)),
        Layer((8, 8), 32, 32, groups=2),
        Layer((8, 8), 3, 16),  # too few channels
        Layer((8, 8), 16, 18),  # no vector of channels
        Layer((1, 8), 16, 16),  # tiles would lie outside mostly
    ],
)
def test_other_convolutions_have_those_of_tvm_alone(layer: Layer) -> None:
    assert own_traces(workload(layer)) == []


def test_weights_that_are_not_known_to_be_constant_are_not_transformed() -> None:
    """Below level 3 nothing says so."""
    layer = Layer((8, 8), 16, 16)
    assert own_traces(workload(layer, level=2)) == []
    assert len(own_traces(workload(layer))) == len(FORMS)
