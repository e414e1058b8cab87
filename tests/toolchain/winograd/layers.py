"""Networks of convolutions with channels last, as programs of an opt level."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.toolchain.quick_builds import quick

HOST = {"kind": "llvm", "native": "here", "num-cores": 1}
TWO_CORES = {**HOST, "num-cores": 2}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with bias and ReLU, unless it is bare, of `pads` before and after."""

    size: tuple[int, int]
    inputs: int
    outputs: int
    pads: tuple[int, int] = (1, 1)
    bare: bool = False
    window: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    images: int = 1
    adds: bool = False
    """Its data again at the end, as in a residual network."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its weights."""
        return (self.outputs, self.window, self.window, self.inputs // self.groups)


def network(layer: Layer, each_weights: Sequence[Any]) -> Any:
    """The layer so many times, each with its weights."""
    from tvm import relax

    random = np.random.default_rng(3)
    before, after = layer.pads
    builder = relax.BlockBuilder()
    value = data = relax.Var("data", relax.TensorType((layer.images, *layer.size, layer.inputs), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            for weights in each_weights:
                made = relax.op.nn.conv2d(
                    value,
                    relax.const(weights.astype(np.float32)),
                    (layer.stride, layer.stride),
                    (before, before, after, after),
                    (layer.dilation, layer.dilation),
                    data_layout="NHWC",
                    kernel_layout="OHWI",
                    groups=layer.groups,
                )
                made = builder.emit(made)
                if not layer.bare:
                    bias = random.normal(0, 0.1, (1, 1, 1, layer.outputs)).astype(np.float32)
                    made = builder.emit(relax.op.add(made, relax.const(bias)))
                    if layer.adds:
                        made = builder.emit(relax.op.add(made, value))
                    made = builder.emit(relax.op.nn.relu(made))
                value = made
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return builder.get()


def lowered(layer: Layer, each_weights: Sequence[Any], level: int) -> Any:
    """The network, lowered for this machine."""
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    load_tvm()
    found = lower(network(layer, each_weights), {"opt_level": level}, resolve_target(HOST))
    assert (found.level, found.left_out) == (level, ())
    return found.module


def random_weights(layer: Layer, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 0.1, layer.shape).astype(np.float32)


def workload(layer: Layer, level: int = 3) -> Any:
    """The program that does most."""
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.tuning.designs.loop_nest import flops_of
    from sweep.toolchain.tvm_loader import resolve_target

    module = lowered(layer, [random_weights(layer)], level)
    tasks = relax_integration.extract_tasks(module, resolve_target(HOST), {})
    return max((task.dispatched[0] for task in tasks), key=flops_of)


def run(module: Any, arguments: Sequence[Any]) -> Any:
    """What a program gives for all its arguments but the output."""
    import tvm

    from sweep.toolchain.tvm_loader import resolve_target

    shape = [int(size) for size in module["main"].params[-1].ty.shape]
    tensors = [tvm.runtime.tensor(one) for one in (*arguments, np.zeros(shape, np.float32))]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lib.so"
        tvm.compile(module, resolve_target(quick(HOST))).export_library(str(library))
        tvm.runtime.load_module(str(library))["main"](*tensors)
    return tensors[-1].numpy()


def arguments_of(module: Any) -> list[Any]:
    """Made-up ones."""
    random = np.random.default_rng(1)
    shapes = [[int(size) for size in one.ty.shape] for one in module["main"].params[:-1]]
    return [random.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]
