"""The networks, by name. Each is a function that gives the proto; `float16` ones are for that precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["FLOAT16", "NETWORKS"]

Proto = Any
NETWORKS: dict[str, Callable[[], Proto]] = {}
FLOAT16 = ("relu6", "hard_sigmoid", "tiled", "einsum", "padded", "small_cnn")
"""What computes in float16 too."""

_F, _D, _I, _L, _B = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
_RANDOM = np.random.default_rng(11)
node = helper.make_node


def network(make: Callable[[], Proto]) -> Callable[[], Proto]:
    NETWORKS[make.__name__] = make
    return make


def graph(
    nodes: list[Any], inputs: dict[str, Any], outputs: list[str], weights: dict[str, Any] | None = None, opset: int = 17
) -> Proto:
    """inputs: shape by name, or (shape, type)."""
    typed = {name: given if isinstance(given, tuple) else (given, _F) for name, given in inputs.items()}
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in typed.items()],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(np.array(value, order="C"), name) for name, value in (weights or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    from onnx import shape_inference

    return shape_inference.infer_shapes(made, strict_mode=True)


def floats(*shape: int) -> Any:
    return (_RANDOM.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)


def convolution(data: str, output: str, weight: str, **attributes: Any) -> Any:
    return node("Conv", [data, weight], [output], **attributes)


@network
def small_cnn() -> Proto:
    nodes = [
        convolution("x", "c", "w", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "d"], ["y"]),
    ]
    statistics = {"g": floats(8) + 1, "b": floats(8), "m": floats(8), "v": np.abs(floats(8)) + np.float32(0.5)}
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], {"w": floats(8, 3, 3, 3), "d": floats(8, 5), **statistics})


@network
def max_of_two() -> Proto:
    return graph([node("Max", ["x", "c"], ["y"])], {"x": [1, 4]}, ["y"], {"c": floats(4)})


@network
def max_feature_map() -> Proto:
    """LightCNN's activation: the larger of two halves, between convolutions."""
    nodes = [
        convolution("x", "c", "w1"),
        node("Split", ["c"], ["left", "right"], axis=1),
        node("Max", ["left", "right"], ["m"]),
        convolution("m", "y", "w2"),
    ]
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], {"w1": floats(8, 3, 3, 3), "w2": floats(6, 4, 1, 1)})


@network
def min_mean_and_sum() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("Min", ["c", "k"], ["least"]),
        node("Mean", ["c", "least", "k"], ["mean"]),
        node("Sum", ["mean"], ["y"]),
    ]
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y"], {"w": floats(4, 3, 3, 3), "k": floats(4, 1, 1)})


@network
def least_and_greatest_scalars() -> Proto:
    """The ranges of dynamic quantisation."""
    nodes = [
        node("ReduceMin", ["x"], ["n"], keepdims=0),
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Min", ["n", "zero"], ["least"]),
        node("Max", ["m", "zero"], ["greatest"]),
        node("Sub", ["greatest", "least"], ["y"]),
    ]
    return graph(nodes, {"x": [2, 3]}, ["y"], {"zero": np.float32(0)})


@network
def max_of_integers() -> Proto:
    return graph([node("Max", ["x", "z", "x"], ["y"])], {"x": ([2, 3], _L), "z": ([3], _L)}, ["y"])


@network
def squeeze_from_the_end() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("ReduceMean", ["c"], ["m"], axes=[3], keepdims=1),
        node("Squeeze", ["m", "a"], ["y"]),
    ]
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], {"w": floats(4, 3, 3, 3), "a": np.array([-1])})


@network
def autoencoder() -> Proto:
    nodes = [
        convolution("x", "c", "w", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("ConvTranspose", ["r", "t"], ["u"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["u"], ["y"]),
    ]
    return graph(nodes, {"x": [1, 3, 16, 16]}, ["y"], {"w": floats(8, 3, 4, 4), "t": floats(8, 3, 4, 4)})


@network
def unet() -> Proto:
    nodes = [
        convolution("x", "down", "w1", pads=[1, 1, 1, 1]),
        node("Relu", ["down"], ["skip"]),
        node("MaxPool", ["skip"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        convolution("half", "deep", "w2", pads=[1, 1, 1, 1]),
        node("ConvTranspose", ["deep", "t"], ["up"], strides=[2, 2]),
        node("Concat", ["skip", "up"], ["both"], axis=1),
        convolution("both", "y", "w3"),
    ]
    weights = {"w1": floats(8, 3, 3, 3), "w2": floats(16, 8, 3, 3), "t": floats(16, 8, 2, 2), "w3": floats(2, 16, 1, 1)}
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], weights)


@network
def scatter_elements() -> Proto:
    nodes = [node("ScatterElements", ["x", "i", "u"], ["s"], axis=1), node("Relu", ["s"], ["y"])]
    return graph(nodes, {"x": [1, 5]}, ["y"], {"i": np.array([[1, 3]]), "u": floats(1, 2)})


@network
def response_of_any_exponent() -> Proto:
    nodes = [
        node("LRN", ["x"], ["a"], size=3, beta=1.0, alpha=0.3),
        node("LRN", ["a"], ["b"], size=3, beta=0.6),
        node("LRN", ["b"], ["y"], size=5),
    ]
    return graph(nodes, {"x": [1, 8, 4, 4]}, ["y"])


@network
def double_precision_cnn() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        node("Relu", ["n"], ["y"]),
    ]
    statistics = {name: np.abs(floats(4)).astype(np.float64) + 0.5 for name in "gbmv"}
    return graph(nodes, {"x": ([1, 3, 6, 6], _D)}, ["y"], {"w": floats(4, 3, 3, 3).astype(np.float64), **statistics})


@network
def double_precision_affine() -> Proto:
    nodes = [node("Mul", ["x", "g"], ["m"]), node("Add", ["m", "b"], ["a"]), node("Sub", ["a", "b"], ["y"])]
    weights = {name: floats(1, 4, 1, 1).astype(np.float64) for name in "gb"}
    return graph(nodes, {"x": ([1, 4, 3, 3], _D)}, ["y"], weights)


@network
def negative_indices() -> Proto:
    """TVM's importer adds the size to a negative index, by constants of 64 bits."""
    nodes = [node("ScatterND", ["x", "i", "u"], ["s"]), node("Gather", ["s", "j"], ["y"], axis=0)]
    weights = {"i": np.array([[-1], [0]]), "u": floats(2, 3), "j": np.array([-2, 1])}
    return graph(nodes, {"x": [4, 3]}, ["y"], weights)


@network
def integer_arithmetic() -> Proto:
    nodes = [node("Div", ["x", "three"], ["d"]), node("Mul", ["d", "big"], ["y"]), node("Abs", ["x"], ["z"])]
    return graph(nodes, {"x": ([2, 5], _L)}, ["y", "z"], {"three": np.array(3), "big": np.array(2**40)})


@network
def constants_on_the_left() -> Proto:
    nodes = [
        node("MatMul", ["a", "x"], ["l"]),
        node("MatMul", ["b", "x"], ["r"]),
        node("Add", ["l", "r"], ["y"]),
    ]
    return graph(nodes, {"x": [4, 5]}, ["y"], {"a": floats(3, 4), "b": floats(3, 4)})


@network
def parallel_products() -> Proto:
    nodes = [node("MatMul", ["x", name], [f"o{name}"]) for name in "qkv"]
    weights = {name: floats(6, 6) for name in "qkv"} | {"c": floats(5, 3)}
    return graph([*nodes, node("MatMul", ["c", "x"], ["left"])], {"x": [3, 6]}, ["oq", "ok", "ov", "left"], weights)


@network
def batch_norm_by_its_batch() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n", "mean", "var"], training_mode=1),
        node("Relu", ["n"], ["y"]),
    ]
    statistics = {name: np.abs(floats(4)) + np.float32(0.5) for name in "gbmv"}
    return graph(nodes, {"x": [2, 3, 6, 6]}, ["y"], {"w": floats(4, 3, 3, 3), **statistics})


@network
def booleans_and_a_scalar() -> Proto:
    nodes = [
        node("Greater", ["x", "zero"], ["g"]),
        node("And", ["g", "b"], ["y"]),
        node("ReduceSum", ["x"], ["total"], keepdims=0),
        node("ArgMax", ["x"], ["most"], axis=1, keepdims=0),
    ]
    return graph(nodes, {"x": [2, 3], "b": ([2, 3], _B)}, ["y", "total", "most"], {"zero": np.float32(0)})


@network
def relu6() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("Clip", ["c", "low", "high"], ["k"]),
        convolution("k", "d", "v", group=6, pads=[1, 1, 1, 1]),
        node("Clip", ["d", "low", "high"], ["y"]),
    ]
    weights = {"w": floats(6, 3, 3, 3), "v": floats(6, 1, 3, 3), "low": np.float32(0), "high": np.float32(6)}
    return graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], weights)


@network
def hard_sigmoid() -> Proto:
    nodes = [convolution("x", "c", "w"), node("HardSigmoid", ["c"], ["h"]), node("Mul", ["c", "h"], ["y"])]
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y"], {"w": floats(4, 3, 3, 3)})


@network
def tiled() -> Proto:
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Tile", ["p", "r"], ["y"])]
    return graph(nodes, {"x": [2, 4]}, ["y"], {"w": floats(4, 3), "r": np.array([2, 2])})


@network
def einsum() -> Proto:
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Einsum", ["p", "v"], ["y"], equation="ij,kj->ik")]
    return graph(nodes, {"x": [2, 4]}, ["y"], {"w": floats(4, 3), "v": floats(5, 3)})


@network
def padded() -> Proto:
    nodes = [node("Pad", ["x", "p"], ["q"], mode="reflect"), convolution("q", "y", "w")]
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y"], {"w": floats(4, 3, 3, 3), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1])})


@network
def tiled_four_ways() -> Proto:
    return graph([node("Tile", ["x", "r"], ["y"])], {"x": [1, 3, 4, 5]}, ["y"], {"r": np.array([1, 6, 4, 2])})
