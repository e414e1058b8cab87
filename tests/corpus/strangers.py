"""Networks as the exporters of others write them: forms of operators that few networks have."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.corpus.networks import floats, graph, network, node

Proto = Any
FLOAT, BOOL, HALF, INT32, INT64 = (
    TensorProto.FLOAT,
    TensorProto.BOOL,
    TensorProto.FLOAT16,
    TensorProto.INT32,
    TensorProto.INT64,
)


@network
def forms_of_others() -> Proto:
    """An image with its channels at the end, one that is padded in front, regions of a larger one, and more."""
    nodes = [
        node("Resize", ["x", "", "scales"], ["larger"], mode="linear"),
        node("MaxPool", ["x"], ["front"], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
        node("RoiAlign", ["x", "regions", "images"], ["parts"], output_height=2, output_width=2, spatial_scale=0.25),
        node("Pad", ["x", "pads"], ["wrapped"], mode="wrap"),
        node("LpPool", ["x"], ["norms"], kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1),
        node("LayerNormalization", ["x", "factor"], ["normal"], axis=2),
        node("ReduceSumSquare", ["x"], ["squares"], noop_with_empty_axes=1),
    ]
    weights = {
        "scales": np.array([1, 2, 2, 1], np.float32),
        "regions": np.array([[0, 0, 20, 28], [5, 6, 16, 30]], np.float32),
        "images": np.array([0, 0]),
        "pads": np.array([0, 0, -1, 2, 0, 0, 1, -2]),
        "factor": floats(6) + 1,
    }
    outputs = ["larger", "front", "parts", "wrapped", "norms", "normal", "squares"]
    return graph(nodes, {"x": [1, 3, 7, 6]}, outputs, weights, opset=19)


@network
def other_types() -> Proto:
    nodes = [
        node("Equal", ["a", "b"], ["same"]),
        node("ReduceMean", ["i", "axes"], ["mean"]),
        node("ReduceL2", ["i", "axes"], ["length"]),
        node("PRelu", ["i", "slope"], ["sloped"]),
        node("TopK", ["i", "count"], ["most", "at"], sorted=0, axis=0),
        node("ReduceSum", ["most", "axes"], ["sum"]),
    ]
    weights = {"axes": np.array([0]), "slope": np.array([2, 3, 4, 5], np.int32), "count": np.array([2])}
    inputs = {"a": ([2, 3], BOOL), "b": ([3], BOOL), "i": ([3, 4], INT32)}
    return graph(nodes, inputs, ["same", "mean", "length", "sloped", "sum"], weights, opset=18)


@network
def halves_inside() -> Proto:
    """Inputs and outputs in 32 bits, all else in 16."""
    nodes = [
        node("Cast", ["x"], ["h"], to=HALF),
        node("Conv", ["h", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("LayerNormalization", ["f", "g"], ["n"]),
        node("Gemm", ["n", "d"], ["o"]),
        node("Cast", ["o"], ["y"], to=FLOAT),
    ]
    weights = {"w": floats(8, 3, 3, 3), "g": floats(8) + 1, "d": floats(8, 5)}
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], {name: each.astype(np.float16) for name, each in weights.items()})


@network
def resized_by_pytorch() -> Proto:
    """Of opset 11: a region and scales without elements, and sizes."""
    nodes = [
        node(
            "Resize", ["x", "none", "none", "sizes"], ["y"], mode="linear",
            coordinate_transformation_mode="pytorch_half_pixel",
        )
    ]  # fmt: skip
    weights = {"none": np.zeros(0, np.float32), "sizes": np.array([1, 2, 9, 4])}
    return graph(nodes, {"x": [1, 2, 6, 7]}, ["y"], weights, opset=11)


@network
def loop_with_a_constant() -> Proto:
    body = helper.make_graph(
        [node("Mul", ["v", "half"], ["w"]), node("Add", ["w", "x"], ["u"]), node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [2, 3]),
        ],
        [
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("u", FLOAT, [2, 3]),
            helper.make_tensor_value_info("w", FLOAT, [2, 3]),
        ],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    nodes = [node("Loop", ["count", "", "x"], ["last", "all"], body=body)]
    return graph(nodes, {"x": [2, 3]}, ["last", "all"], {"count": np.array(4)})
