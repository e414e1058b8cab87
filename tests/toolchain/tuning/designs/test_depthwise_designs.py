"""Designs of convolutions of one channel a group: right in all shapes, and only where they apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.variants import only

pytestmark = pytest.mark.tvm

HOST = {"kind": "llvm", "native": "here", "num-cores": 1}
TWO_CORES = {**HOST, "num-cores": 2}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with channels last, bias and ReLU, of `pads` before and after."""

    size: int
    channels: int
    window: int
    stride: int = 1
    dilation: int = 1
    pads: tuple[int, int] = (1, 1)
    groups: int | None = None
    multiplier: int = 1


LAYERS = {
    "padded": Layer(10, 16, 3),
    "odd size": Layer(7, 24, 3),
    "stride 2, odd size": Layer(9, 8, 3, stride=2),
    "stride 2, padded on one side": Layer(8, 8, 3, stride=2, pads=(0, 1)),
    "window of 5, stride 2": Layer(11, 40, 5, stride=2, pads=(2, 2)),
    "dilated": Layer(9, 8, 3, dilation=2, pads=(2, 2)),
    "not padded": Layer(6, 12, 3, pads=(0, 0)),
    "window of 1": Layer(5, 8, 1, pads=(0, 0)),
}


def workload(layer: Layer) -> Any:
    """The program of a layer at opt level 3."""
    from tvm import relax
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tuning.designs.loop_nest import flops_of
    from sweep.toolchain.tvm_loader import resolve_target

    random, outputs = np.random.default_rng(0), layer.channels * layer.multiplier
    groups = layer.channels if layer.groups is None else layer.groups
    weights = random.normal(0, 1, (outputs, layer.window, layer.window, layer.channels // groups))
    bias = random.normal(0, 1, (1, 1, 1, outputs))
    before, after = layer.pads
    options = {"data_layout": "NHWC", "kernel_layout": "OHWI", "groups": groups}
    builder = relax.BlockBuilder()
    data = relax.Var("data", relax.TensorType((1, layer.size, layer.size, layer.channels), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            value = relax.op.nn.conv2d(
                data,
                relax.const(weights.astype(np.float32)),
                (layer.stride, layer.stride),
                (before, before, after, after),
                (layer.dilation, layer.dilation),
                **options,
            )
            value = builder.emit(relax.op.add(builder.emit(value), relax.const(bias.astype(np.float32))))
            result = builder.emit_output(relax.op.nn.relu(value))
        builder.emit_func_output(result)
    target = resolve_target(HOST)
    lowered = lower(builder.get(), {"opt_level": 3}, target)
    assert (lowered.level, lowered.left_out) == (3, ())
    tasks = relax_integration.extract_tasks(lowered.module, target, {})
    return max((task.dispatched[0] for task in tasks), key=flops_of)


def designs(module: Any, target: dict[str, Any] | None = None) -> Any:
    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    return Designs(module, resolve_target(target or HOST), "depthwise", 1)


def run(module: Any) -> Any:
    """What a program gives; where its schedule changes the order of weights, it does so itself here."""
    import tvm

    from sweep.toolchain.tvm_loader import resolve_target

    random = np.random.default_rng(1)
    shapes = [tuple(int(size) for size in parameter.ty.shape) for parameter in module["main"].params]
    tensors = [tvm.runtime.tensor(random.normal(0, 1, shape).astype(np.float32)) for shape in shapes]
    tvm.compile(module, resolve_target(HOST))["main"](*tensors)
    return tensors[-1].numpy()


@pytest.mark.parametrize(
    ("order", "layer"),
    only(
        ("odd size", "stride 2, padded on one side"),
        {name: (order, layer) for order, (name, layer) in enumerate(LAYERS.items())},
    ),
)
def test_it_gives_what_the_unscheduled_program_gives(order: int, layer: Layer) -> None:
    """Both orders of walking in turn."""
    module = workload(layer)
    space = designs(module)
    point = space.suggested[order % 2]
    expected = run(module)
    assert expected.min() == 0 < expected.max(), "a test that cannot fail"
    scheduled = space.schedule(point)
    assert scheduled is not None
    assert scheduled.point == point
    np.testing.assert_allclose(run(scheduled.schedule.mod), expected, rtol=1e-5, atol=1e-5)


def test_every_point_has_a_schedule_and_the_padding_no_pass_of_its_own() -> None:
    space = designs(workload(LAYERS["padded"]))
    own = sorted({point[0] for point in space.suggested})
    assert len(own) == 2
    for number in own:
        for at in range(space.space.designs[number].size):
            before = sum(design.size for design in space.space.designs[:number])
            scheduled = space.schedule(space.space.point_at(before + at))
            assert scheduled is not None
            assert "pad_temp" not in scheduled.schedule.mod.script()


def test_cores_share_the_rows() -> None:
    module = workload(LAYERS["odd size"])
    space = designs(module, TWO_CORES)
    scheduled = space.schedule(space.suggested[0])
    assert scheduled is not None
    assert "T.parallel" in scheduled.schedule.mod.script()


def test_they_come_behind_those_of_tvm_and_a_trace_is_found_again() -> None:
    """Records have the number of their design, and are read again by their trace."""
    space = designs(workload(LAYERS["padded"]))
    first = space.suggested[0]
    tiled = [any(knob.axis is not None for knob in design.knobs) for design in space.space.designs]
    assert tiled == [True] * first[0] + [False, False]
    scheduled = space.schedule(first)
    assert scheduled is not None
    assert space.point_of_json(scheduled.schedule.trace.as_json()) == first


@pytest.mark.parametrize(
    "layer",
    [
        Layer(8, 8, 3, groups=1),
        Layer(8, 16, 3, groups=8),
        Layer(8, 16, 3, multiplier=2),
        Layer(8, 6, 3),  # no vector of channels
    ],
)
def test_other_convolutions_have_those_of_tvm_alone(layer: Layer) -> None:
    space = designs(workload(layer))
    assert space.space.designs
    assert list(space.suggested) == []
