"""Networks that find the range of a quantisation as they run may be off by what rounding of their inputs comes to."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.models.own_rounding import distance_from_itself, rounds_as_it_runs


def network(layers: int) -> Any:
    """Dense layers of integers, each of which finds the range of what it is given."""
    draw, node, nodes = np.random.default_rng(0), helper.make_node, []
    weights = [numpy_helper.from_array(np.float32(0.003), "small")]
    for layer in range(layers):
        codes = draw.integers(-127, 128, (32, 32)).astype(np.int8)
        weights.append(numpy_helper.from_array(codes, f"w{layer}"))
        name = f"x{layer}"
        nodes += [
            node("DynamicQuantizeLinear", [name], [f"q{layer}", f"s{layer}", f"z{layer}"]),
            node("MatMulInteger", [f"q{layer}", f"w{layer}", f"z{layer}"], [f"i{layer}"]),
            node("Cast", [f"i{layer}"], [f"f{layer}"], to=TensorProto.FLOAT),
            node("Mul", [f"f{layer}", f"s{layer}"], [f"m{layer}"]),
            node("Mul", [f"m{layer}", "small"], [f"t{layer}"]),
            node("Tanh", [f"t{layer}"], [f"x{layer + 1}"]),
        ]
    data = helper.make_tensor_value_info("x0", TensorProto.FLOAT, [16384, 32])
    result = helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, [16384, 32])
    graph = helper.make_graph(nodes, "g", [data], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_rounding_that_a_network_does_by_itself_is_measured() -> None:
    model = network(6)
    assert rounds_as_it_runs(model)
    run = partial(run_onnxruntime, model.SerializeToString())
    feeds = {"x0": np.random.default_rng(1).standard_normal((16384, 32)).astype("float32")}
    (apart,) = distance_from_itself(run, feeds, run(feeds))
    assert 1e-4 < apart < 1


def test_a_network_of_floats_alone_is_as_near_to_itself_as_its_inputs() -> None:
    model = network(1)
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Tanh", ["x0"], ["x1"]))
    assert not rounds_as_it_runs(model)
    run = partial(run_onnxruntime, model.SerializeToString())
    feeds = {"x0": np.random.default_rng(1).standard_normal((16384, 32)).astype("float32")}
    (apart,) = distance_from_itself(run, feeds, run(feeds))
    assert 0 < apart < 1e-5
