"""The design of tensors beside each other: it gives what they are, as vectors, and only where it applies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_row_designs import HOST, TWO_CORES, designs, run

pytestmark = pytest.mark.tvm


def concatenation(*channels: int, axis: int = -1, finished: bool = False) -> Any:
    """Of tensors of so many channels, 3 x 5 positions each, at opt level 3. finished: by an activation."""
    from tvm import relax
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(HOST)
    builder = relax.BlockBuilder()
    parts = [relax.Var(f"part{n}", relax.TensorType((1, 3, 5, size), "float32")) for n, size in enumerate(channels)]
    with builder.function("main", parts):
        with builder.dataflow():
            whole = builder.emit(relax.op.concat(parts, axis=axis))
            result = builder.emit_output(relax.op.nn.relu(whole) if finished else whole)
        builder.emit_func_output(result)
    lowered = lower(builder.get(), {"opt_level": 3}, target)
    [task] = relax_integration.extract_tasks(lowered.module, target, {})
    return task.dispatched[0]


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("channels", [(64, 64), (32, 64, 16, 8)])
def test_it_gives_what_the_unscheduled_program_gives_in_vectors(channels: tuple[int, ...], finished: bool) -> None:
    module = concatenation(*channels, finished=finished)
    space = designs(module)
    [point] = space.suggested
    scheduled = space.schedule(point)
    assert scheduled is not None
    assert "T.vectorized" in scheduled.schedule.mod.script()
    expected = run(module)
    assert expected.std() > 0, "a test that cannot fail"
    np.testing.assert_array_equal(run(scheduled.schedule.mod), expected)
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == point


def test_cores_share_the_rows() -> None:
    space = designs(concatenation(64, 64), TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert "T.parallel(T.int64(15))" in scheduled.schedule.mod.script()


@pytest.mark.parametrize(
    ("channels", "axis"),
    [
        ((64, 60), -1),  # no whole number of vectors
        ((8,) * 65, -1),  # as many pieces of code
        ((16, 16), 2),  # rows lie beside each other as they are
    ],
)
def test_others_have_none(channels: tuple[int, ...], axis: int) -> None:
    from sweep.toolchain.tuning.designs.concat_designs import concat_traces
    from sweep.toolchain.tvm_loader import resolve_target

    assert concat_traces(concatenation(*channels, axis=axis), resolve_target(HOST), 8, 1) == []
