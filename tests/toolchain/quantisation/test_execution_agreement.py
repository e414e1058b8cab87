"""A network that is quantised here computes the same in integers and in floats between roundings, at every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.toolchain.quantisation.layer_distances import layers_of
from sweep.toolchain.quantisation.qdq_network import quantised
from tests.networks import write_tiny
from tests.toolchain.networks import write_branches
from tests.toolchain.quantisation.networks_with_ranges import calibrated, options

pytestmark = pytest.mark.tvm

LEVEL = 3
INPUTS = 4
READ = "_DequantizeLinear_Output"
CASES = [
    pytest.param(network, strategy, per, marks=[] if (network, strategy, per) == FAST else [pytest.mark.slow])
    for FAST in [("residual", "minmax", "channel")]
    for network in ("tiny", "residual", "branches")
    for strategy in ("minmax", "scale_shift", "symmetry_max")
    for per in ("channel", "tensor")
]


def write_residual(path: Path) -> None:
    """Convolutions, one of single channels, around a sum, a pool of means and a product: what mobile networks have."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(8)
    shapes = {"a": (8, 3, 3, 3), "b": (8, 1, 3, 3), "c": (8, 8, 1, 1), "d": (5, 8)}
    stored = [
        numpy_helper.from_array((draw.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    others = {f"{name}_bias": draw.standard_normal(8) / 4 for name in "abc"} | {"low": 0.0, "high": 6.0}
    stored += [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in others.items()]
    nodes = [
        helper.make_node("Conv", ["x", "a", "a_bias"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["one", "low", "high"], ["first"]),
        helper.make_node("Conv", ["first", "b", "b_bias"], ["two"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["two"], ["second"]),
        helper.make_node("Conv", ["second", "c", "c_bias"], ["third"]),
        helper.make_node("Add", ["third", "first"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "d"], ["y"], transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 10, 10])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "residual", [x], [y], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


WRITERS = {"tiny": write_tiny, "residual": write_residual, "branches": write_branches}


def at_every_layer(model: Any) -> tuple[Any, list[str]]:
    """The network with what the takers of each layer read as its outputs."""
    from onnx import TensorProto, helper, shape_inference

    made = {name for node in model.graph.node for name in node.output}
    read = [name for name in made if name.endswith(READ)]
    typed = shape_inference.infer_shapes(model)
    shapes = {value.name: value.type.tensor_type.shape for value in typed.graph.value_info}
    stored = {tensor.name for tensor in model.graph.initializer}
    constant = {node.output[0] for node in model.graph.node if set(node.input) <= stored}
    names = sorted(set(read) - constant)
    for name in names:
        sizes = [size.dim_value for size in shapes[name].dim]
        typed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))
    return typed, [value.name for value in typed.graph.output]


@pytest.mark.parametrize(("network", "strategy", "per"), CASES)
def test_both_are_within_a_step_at_every_layer(network: str, strategy: str, per: str, tmp_path: Path) -> None:
    import tvm

    from sweep.toolchain.lowering import finish
    from sweep.toolchain.mac_types import macs_by_type
    from sweep.toolchain.tvm_loader import resolve_target
    from tests.toolchain.integers.conftest import HOST, lowered, relax_of
    from tests.toolchain.quick_builds import machine_of, quick

    WRITERS[network](tmp_path / "network.onnx")
    model, table = calibrated(tmp_path / "network.onnx")
    made = quantised(model, table, options(strategy, per))
    observed, names = at_every_layer(made.model)
    assert len(names) >= len(layers_of(model))
    steps = [float(np.max(made.parameters[name.removesuffix(READ)]["scale"])) for name in names]
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    inputs = [np.random.default_rng(seed).standard_normal(shape).astype(np.float32) for seed in range(INPUTS)]
    target = resolve_target(quick(HOST))
    found = {}
    for execution, kind in (("integer", "int"), ("simulated", "float")):
        module = lowered(relax_of(observed), LEVEL, execution=execution)
        assert {dtype.rstrip("0123456789").removeprefix("u") for dtype in macs_by_type(module)} == {kind}
        machine = machine_of(finish(module, LEVEL, target)[0], target)
        runs = [[part.numpy() for part in machine["main"](tvm.runtime.tensor(one))] for one in inputs]
        found[execution] = [np.concatenate([run[place] for run in runs]) for place in range(len(names))]
    for place, name in enumerate(names):
        apart = np.abs(found["integer"][place] - found["simulated"][place]) / steps[place]
        assert apart.max() <= 1.01, name
        assert np.mean(apart < 0.01) >= 0.9, name


@pytest.mark.parametrize("strategy", ["symmetry_max", "minmax"])
def test_that_an_input_is_put_into_codes_makes_no_operator_slow(strategy: str, tmp_path: Path) -> None:
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import resolve_target
    from tests.toolchain.integers.conftest import HOST, relax_of

    write_residual(tmp_path / "network.onnx")
    made = quantised(*calibrated(tmp_path / "network.onnx"), options(strategy))
    found = lower(relax_of(made.model), {"opt_level": LEVEL, "execution": "integer"}, resolve_target(HOST)).layout
    turned = [line for line in found["transpositions"] if " the input " in line]
    assert len(turned) == 1, found["transpositions"]
