"""The design of pools and means with channels last: right in all shapes, and only where it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_row_designs import TWO_CORES, designs, run, workload
from tests.variants import only

pytestmark = pytest.mark.tvm


def largest(data: Any, window: int, stride: int, *pads: int, layout: str = "NHWC") -> Any:
    from tvm import relax

    return relax.op.nn.max_pool2d(data, (window, window), (stride, stride), pads, layout=layout)


def average(data: Any, window: int, stride: int, *pads: int, counts_pads: bool = False) -> Any:
    from tvm import relax

    options = {"count_include_pad": counts_pads, "layout": "NHWC"}
    return relax.op.nn.avg_pool2d(data, (window, window), (stride, stride), pads, **options)


def mean(data: Any, *axes: int, keepdims: bool = True) -> Any:
    from tvm import relax

    return relax.op.mean(data, axis=list(axes), keepdims=keepdims)


def centred(data: Any) -> Any:
    from tvm import relax

    return relax.op.subtract(data, mean(data, 1, 2))


def finished(data: Any) -> Any:
    from tvm import relax

    return relax.op.nn.relu(average(data, 2, 2, 0, 0, 0, 0))


CASES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "maxima, padded": (lambda data: largest(data, 3, 1, 1, 1, 1, 1), (1, 7, 5, 24)),
    "maxima, stride 2, padded behind": (lambda data: largest(data, 3, 2, 0, 0, 1, 1), (2, 8, 8, 8)),
    "maxima, not padded": (lambda data: largest(data, 2, 2, 0, 0, 0, 0), (1, 6, 8, 12)),
    "averages, padded": (lambda data: average(data, 3, 1, 1, 1, 1, 1), (1, 5, 6, 72)),
    "averages, with zeros": (lambda data: average(data, 3, 2, 1, 1, 1, 1, counts_pads=True), (1, 7, 7, 8)),
    "finished by an activation": (finished, (1, 6, 6, 16)),
    "over all positions": (lambda data: mean(data, 1, 2), (2, 5, 5, 40)),
    "over all positions, without their axes": (lambda data: mean(data, 1, 2, keepdims=False), (1, 5, 3, 16)),
}


@pytest.mark.parametrize(
    ("operator", "shape"), only(("maxima, padded", "averages, padded", "over all positions"), CASES)
)
def test_it_gives_what_the_unscheduled_program_gives(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    """At the point that is tried first, and at the last."""
    module = workload(operator, shape)
    space = designs(module)
    expected, number = run(module), space.suggested[0][0]
    assert expected.std() > 0, "a test that cannot fail"
    last = (number, *(len(knob.choices) - 1 for knob in space.space.designs[number].knobs))
    for point in {space.suggested[0], last}:
        scheduled = space.schedule(point)
        assert scheduled is not None
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-6, atol=1e-6)
        assert space.point_of_json(scheduled.schedule.trace.as_json()) == point


def test_borders_are_no_pass_of_their_own_and_results_in_registers() -> None:
    space = designs(workload(CASES["averages, padded"][0], (1, 5, 6, 16)))
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    text = scheduled.schedule.mod.script()
    assert "pad_temp" not in text
    assert text.count('scope="local"') == 1


@pytest.mark.parametrize("name", ["maxima, padded", "over all positions"])
def test_cores_share_the_tiles(name: str) -> None:
    space = designs(workload(*CASES[name]), TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert scheduled.schedule.mod.script().count("T.parallel") == 1


@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (lambda data: largest(data, 3, 1, 1, 1, 1, 1, layout="NCHW"), (1, 8, 5, 8)),
        (lambda data: largest(data, 3, 1, 1, 1, 1, 1), (1, 5, 5, 7)),  # no vector of channels
        (lambda data: mean(data, 3), (1, 4, 4, 16)),
        (centred, (1, 4, 4, 16)),  # each mean is read by many numbers
    ],
)
def test_others_have_the_designs_of_tvm_alone(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    space = designs(workload(operator, shape))
    assert list(space.suggested) == []
    assert space.schedule((0, *(0 for _ in space.space.designs[0].knobs))) is not None
