"""The design of softmax and layer norm: right at every number of partial sums, and only where it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tvm

HOST = {"kind": "llvm", "native": "here", "num-cores": 1}
TWO_CORES = {**HOST, "num-cores": 2}


def workload(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """The program of one operator at opt level 3."""
    from tvm import relax
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(HOST)
    builder = relax.BlockBuilder()
    data = relax.Var("data", relax.TensorType(shape, "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            result = builder.emit_output(operator(data))
        builder.emit_func_output(result)
    lowered = lower(builder.get(), {"opt_level": 3}, target)
    [task] = relax_integration.extract_tasks(lowered.module, target, {})
    return task.dispatched[0]


def softmax(data: Any) -> Any:
    from tvm import relax

    return relax.op.nn.softmax(data, axis=-1)


def softmax_of_rows(data: Any) -> Any:
    from tvm import relax

    return relax.op.nn.softmax(data, axis=1)


def layer_norm(data: Any) -> Any:
    from tvm import relax

    random, size = np.random.default_rng(0), int(data.ty.shape[-1])
    scale, shift = (relax.const(random.normal(1, 1, size).astype(np.float32)) for _ in range(2))
    return relax.op.nn.layer_norm(data, scale, shift, axes=[-1], epsilon=1e-5)


def mean(data: Any) -> Any:
    from tvm import relax

    return relax.op.mean(data, axis=-1)


def mean_of_all(data: Any) -> Any:
    from tvm import relax

    return relax.op.mean(data)


def one_more(data: Any) -> Any:
    from tvm import relax

    return relax.op.add(data, relax.const(1.0))


def designs(module: Any, target: dict[str, Any] | None = None) -> Any:
    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    return Designs(module, resolve_target(target or HOST), "rows", 1)


def run(module: Any) -> Any:
    """What a program gives; where its schedule changes the order of constants, it does so itself here."""
    import tvm

    from sweep.toolchain.tvm_loader import resolve_target

    random = np.random.default_rng(1)
    shapes = [tuple(int(size) for size in parameter.ty.shape) for parameter in module["main"].params]
    tensors = [tvm.runtime.tensor(random.normal(0, 3, shape).astype(np.float32)) for shape in shapes]
    tvm.compile(module, resolve_target(HOST))["main"](*tensors)
    return tensors[-1].numpy()


@pytest.mark.parametrize(("operator", "shape"), [(softmax, (3, 5, 48)), (layer_norm, (7, 96))])
def test_every_number_of_partial_sums_gives_what_the_unscheduled_program_gives(
    operator: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    module = workload(operator, shape)
    space = designs(module)
    expected, number = run(module), space.suggested[0][0]
    assert expected.std() > 0, "a test that cannot fail"
    chosen = {point[1] for point in space.suggested}
    for choice in sorted({*chosen, 0, space.space.designs[number].size - 1}):
        scheduled = space.schedule((number, choice))
        assert scheduled is not None
        assert scheduled.point == (number, choice)
        np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-5, atol=1e-5)


def test_sums_are_vectors_and_cores_share_the_rows() -> None:
    space = designs(workload(layer_norm, (6, 96)), TWO_CORES)
    number, choice = space.suggested[0]
    scheduled = space.schedule((number, choice))
    assert scheduled is not None
    text, width = scheduled.schedule.mod.script(), space.space.designs[number].knobs[0].choices[choice][-1]
    assert "T.parallel(T.int64(6))" in text
    assert text.count(f"T.vectorized(T.int64({width}))") == 5, "both sums, their zeros, and the output"
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == (number, choice)


@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (softmax, (4, 197)),  # no whole number of vectors: TVM's predicates give wrong numbers there
        (softmax_of_rows, (2, 48, 48)),
        (mean, (4, 48)),
        (mean_of_all, (4, 48)),  # a scalar has no loop
        (one_more, ()),
    ],
)
def test_other_programs_have_the_designs_of_tvm_alone(operator: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    space = designs(workload(operator, shape))
    assert space.space.designs
    assert list(space.suggested) == []
    assert space.schedule((0, *(0 for _ in space.space.designs[0].knobs))) is not None


def test_own_designs_that_fail_leave_those_of_tvm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a program has that they did not foresee."""
    from sweep.toolchain.tuning.space import design

    def fails(*_: Any) -> Any:
        raise IndexError("list index out of range")

    module = workload(softmax, (4, 48))
    monkeypatch.setattr(design, "_OWN", ((fails, row_suggestions),))
    assert designs(module).space.designs
    assert "rows: designs beside TVM's cannot be made: list index out of range" in caplog.text


def row_suggestions(*_: Any) -> list[Any]:
    return []
