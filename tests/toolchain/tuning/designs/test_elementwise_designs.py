"""The design of programs of one number each: it gives what they do, in vectors of a row, and only where it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_concat_designs import concatenation
from tests.toolchain.tuning.designs.test_row_designs import TWO_CORES, designs, run, workload

pytestmark = pytest.mark.tvm


def normalised(data: Any) -> Any:
    """By a scale and a shift of each channel, and an activation."""
    from tvm import relax

    random, size = np.random.default_rng(0), int(data.ty.shape[-1])
    scale, shift = (relax.const(random.normal(1, 1, size).astype(np.float32)) for _ in range(2))
    return relax.op.nn.relu(relax.op.add(relax.op.multiply(data, scale), shift))


def swish(data: Any) -> Any:
    from tvm import relax

    return relax.op.multiply(data, relax.op.sigmoid(data))


def padded(data: Any) -> Any:
    from tvm import relax

    return relax.op.nn.pad(data, [0, 0, 1, 2, 2, 1, 0, 0])


def padded_channels(data: Any) -> Any:
    from tvm import relax

    return relax.op.nn.pad(data, [0, 0, 0, 0, 0, 0, 4, 4])


def divided_by_neighbours(data: Any) -> Any:
    """Local response normalisation over five channels."""
    from tvm import relax

    squares = relax.op.nn.pad(relax.op.multiply(data, data), [0, 0, 0, 0, 0, 0, 2, 2])
    size = int(data.ty.shape[-1])
    total = relax.op.strided_slice(squares, [3], [0], [size])
    for first in range(1, 5):
        total = relax.op.add(total, relax.op.strided_slice(squares, [3], [first], [first + size]))
    return relax.op.divide(data, relax.op.sqrt(relax.op.add(total, relax.const(1.0))))


def transposed(data: Any) -> Any:
    from tvm import relax

    return relax.op.permute_dims(data, [0, 3, 1, 2])


CASES = {
    "no multiple of 64 numbers": (normalised, (1, 3, 5, 48)),
    "half a vector": (normalised, (1, 3, 5, 12)),
    "rows of no whole vector, as one": (swish, (2, 3, 4, 7)),
    "zeros around": (padded, (1, 3, 4, 16)),
    "zeros beside the channels": (padded_channels, (1, 3, 4, 16)),
    "sums of neighbours": (divided_by_neighbours, (1, 3, 4, 24)),
}


@pytest.mark.parametrize(("operator", "shape"), CASES.values(), ids=CASES)
def test_it_gives_what_the_unscheduled_program_gives_in_vectors(
    operator: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    module = workload(operator, shape)
    space = designs(module)
    expected, [suggested] = run(module), space.suggested
    assert expected.std() > 0, "a test that cannot fail"
    for point in {suggested, (suggested[0], *(0 for _ in suggested[1:]))}:
        scheduled = space.schedule(point)
        assert scheduled is not None
        assert scheduled.schedule.mod.script().count("T.vectorized") == 1
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-6, atol=1e-6)
        assert space.point_of_json(scheduled.schedule.trace.as_json()) == point


@pytest.mark.parametrize(("channels", "axis"), [((16, 16), 2), ((24, 20), -1)])
def test_tensors_beside_each_other_that_are_no_whole_vectors_are_copied_in_vectors_too(
    channels: tuple[int, ...], axis: int
) -> None:
    module = concatenation(*channels, axis=axis)
    scheduled = designs(module).schedule(designs(module).suggested[0])
    assert "T.vectorized" in scheduled.schedule.mod.script()
    np.testing.assert_array_equal(run(scheduled.schedule.mod), run(module))


def test_cores_share_the_vectors() -> None:
    space = designs(workload(normalised, (1, 3, 5, 64)), TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert "T.parallel(T.int64(30))" in scheduled.schedule.mod.script(), "of four vectors each"


@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (normalised, (1, 3, 4, 7)),  # no vector inside a row
        (swish, (3, 5, 7)),  # nor in all rows as one
        (padded_channels, (1, 3, 4, 512)),  # too many pieces of code
        (transposed, (1, 4, 4, 16)),
    ],
)
def test_others_have_the_designs_of_tvm_alone(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    space = designs(workload(operator, shape))
    assert list(space.suggested) == []
    assert space.schedule((0, *(0 for _ in space.space.designs[0].knobs))) is not None


@pytest.mark.parametrize("finished", [False, True])
def test_tensors_of_whole_vectors_beside_each_other_keep_theirs(finished: bool) -> None:
    space = designs(concatenation(64, 64, finished=finished))
    assert list(space.suggested) == [(len(space.space.designs) - 1,)]
    assert space.space.designs[-1].size == 1
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert "T.unroll(T.int64(2))" in scheduled.schedule.mod.script(), "a piece of each tensor"
