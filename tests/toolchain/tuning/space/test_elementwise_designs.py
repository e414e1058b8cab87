"""The design of programs of one number each: it gives what they do, in vectors of a row, and only where it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.toolchain.tuning.space.test_concat_designs import concatenation
from tests.toolchain.tuning.space.test_row_designs import TWO_CORES, designs, run, workload

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


def transposed(data: Any) -> Any:
    from tvm import relax

    return relax.op.permute_dims(data, [0, 3, 1, 2])


CASES = {
    "no multiple of 64 numbers": (normalised, (1, 3, 5, 48)),
    "half a vector": (normalised, (1, 3, 5, 12)),
    "rows of no whole vector, as one": (swish, (2, 3, 4, 7)),
    "zeros around": (padded, (1, 3, 4, 16)),
}


@pytest.mark.parametrize(("operator", "shape"), CASES.values(), ids=CASES)
def test_it_gives_what_the_unscheduled_program_gives_in_vectors(
    operator: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    module = workload(operator, shape)
    space = designs(module)
    expected, [(number, suggested)] = run(module), space.suggested
    assert expected.std() > 0, "a test that cannot fail"
    for point in {(number, suggested), (number, 0)}:
        scheduled = space.schedule(point)
        assert scheduled is not None
        assert scheduled.schedule.mod.script().count("T.vectorized") == 1
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-6, atol=1e-6)
        assert space.point_of_json(scheduled.schedule.trace.as_json()) == point


def test_rows_beside_each_other_are_copied_in_vectors() -> None:
    module = concatenation(16, 16, axis=2)
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
        (padded_channels, (1, 3, 4, 16)),
        (transposed, (1, 4, 4, 16)),
    ],
)
def test_others_have_the_designs_of_tvm_alone(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    space = designs(workload(operator, shape))
    assert list(space.suggested) == []
    assert space.schedule((0, *(0 for _ in space.space.designs[0].knobs))) is not None


def test_tensors_beside_each_other_keep_theirs() -> None:
    from sweep.toolchain.tuning.space import concat_designs, elementwise_designs
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(TWO_CORES)
    for module in (concatenation(64, 64), concatenation(64, 64, finished=True)):
        assert len(concat_designs.concat_traces(module, target, 8, 1)) == 1
        assert elementwise_designs.elementwise_traces(module, target, 8, 1) == []
    assert elementwise_designs.elementwise_traces(concatenation(64, 60), target, 8, 1) == []
