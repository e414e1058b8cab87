"""Networks that find the range of a quantisation as they run, or keep peaks, may be off by what their inputs' rounding
is worth.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.models.own_rounding import distance_from_itself, keeps_peaks, rounds_as_it_runs


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


def peaks(compares: str) -> Any:
    """Keeps values that are the largest around, of those that a layer makes from small differences of large ones."""
    node = helper.make_node
    nodes = [
        node("Sub", ["x", "level"], ["y"]),
        node("MaxPool", ["y"], ["m"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        node("Reshape", ["m", "shape"], ["largest"]),
        node(compares, ["y", "largest"], ["is_peak"]),
        node("Cast", ["is_peak"], ["factor"], to=TensorProto.FLOAT),
        node("Mul", ["y", "factor"], ["scores"]),
    ]
    shape = [1, 1, 160, 160]
    stored = [
        numpy_helper.from_array(np.float32(1000), "level"),
        numpy_helper.from_array(np.array(shape), "shape"),
    ]
    data, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "scores"))
    graph = helper.make_graph(nodes, "g", [data], [result], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_which_of_two_peaks_is_kept_is_a_matter_of_rounding() -> None:
    model = peaks("Equal")
    assert keeps_peaks(model)
    assert not keeps_peaks(peaks("Greater"))
    run = partial(run_onnxruntime, model.SerializeToString())
    feeds = {"x": 1000 + np.random.default_rng(1).random((1, 1, 160, 160)).astype("float32")}
    (apart,) = distance_from_itself(run, feeds, run(feeds))
    assert apart > 0.1
