"""Networks of what people put between convolutions, where levels from 3 on have another layout, and of number types."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from tests.corpus.networks import convolution, floats, graph, network, node

Proto = Any


def between(*nodes: Any, shape: tuple[int, ...] = (1, 4, 6, 6), ends: str = "e", **weights: Any) -> Proto:
    """A convolution of x into b, the nodes, and a ReLU of what they end in."""
    around = [convolution("x", "b", "w", pads=[1, 1, 1, 1]), *nodes, node("Relu", [ends], ["y"])]
    return graph(around, {"x": list(shape)}, ["y"], {"w": floats(8, shape[1], 3, 3), **weights})


@network
def intermediate_outputs() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("Mul", ["c", "g"], ["m"]),
        node("Add", ["m", "o"], ["a"]),
        node("Mul", ["a", "g"], ["n"]),
        node("Relu", ["n"], ["y"]),
    ]
    weights = {"w": floats(4, 3, 3, 3), "g": floats(1, 4, 1, 1), "o": floats(1, 4, 1, 1)}
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["c", "m", "a", "y"], weights)


@network
def squeeze_and_excite() -> Proto:
    return between(
        node("GlobalAveragePool", ["b"], ["p"]),
        convolution("p", "q", "v"),
        node("HardSigmoid", ["q"], ["h"]),
        node("Mul", ["b", "h"], ["e"]),
        v=floats(8, 8, 1, 1),
    )


@network
def shuffle_and_split() -> Proto:
    return between(
        node("Reshape", ["b", "apart"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["t", "again"], ["s"]),
        node("Split", ["s"], ["l", "k"], axis=-3),
        node("Concat", ["k", "l", "k"], ["e"], axis=-3),
        apart=np.array([0, 2, 4, 6, 6]),
        again=np.array([0, -1, 6, 6]),
    )


@network
def depth_to_space() -> Proto:
    return between(node("DepthToSpace", ["b"], ["e"], blocksize=2))


@network
def layer_norm_of_channels() -> Proto:
    """ConvNeXt's block."""
    return between(
        node("Transpose", ["b"], ["t"], perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["t", "g", "o"], ["n"], axis=-1),
        node("MatMul", ["n", "m"], ["p"]),
        node("Erf", ["p"], ["f"]),
        node("Transpose", ["f"], ["u"], perm=[0, 3, 1, 2]),
        node("Add", ["u", "b"], ["e"]),
        g=floats(8) + 1,
        o=floats(8),
        m=floats(8, 8),
    )


@network
def layer_norm_of_images() -> Proto:
    """Over channels, rows and columns at once, with weights that lie along all three."""
    nodes = (node("LayerNormalization", ["b", "g", "o"], ["e"], axis=1),)
    return between(*nodes, g=floats(8, 6, 6) + 1, o=floats(8, 6, 6))


@network
def root_mean_square_of_rows() -> Proto:
    nodes = [
        convolution("x", "b", "w"),
        node("RMSNormalization", ["b", "g"], ["n"], axis=-1),
        node("Relu", ["n"], ["y"]),
    ]
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y"], {"w": floats(8, 3, 3, 3), "g": floats(4) + 1}, opset=23)


@network
def reduced_and_broadcast() -> Proto:
    return between(
        node("ReduceMax", ["b"], ["k"], axes=[1], keepdims=0),
        node("ReduceMean", ["b"], ["n"], axes=[-2, -1], keepdims=0),
        node("Unsqueeze", ["n", "two"], ["u"]),
        node("Sub", ["b", "k"], ["d"]),
        node("Greater", ["d", "u"], ["mask"]),
        node("Where", ["mask", "b", "row"], ["e"]),
        two=np.array([-1, -2]),
        row=floats(6),
    )


@network
def picked_and_padded() -> Proto:
    return between(
        node("Slice", ["b", "from", "to", "axes", "steps"], ["s"]),
        node("Gather", ["s", "picked"], ["k"], axis=1),
        node("Pad", ["k", "pads"], ["p"], mode="edge"),
        node("AveragePool", ["p"], ["e"], kernel_shape=[2, 2], ceil_mode=1),
        **{"from": np.array([-1, 1]), "to": np.array([-6, 5])},
        axes=np.array([1, -2]),
        steps=np.array([-1, 2]),
        picked=np.array([0, 2, -1]),
        pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    )


@network
def resized() -> Proto:
    return between(node("Resize", ["b", "", "s"], ["e"], mode="linear"), s=np.array([1, 1, 2, 2], np.float32))


@network
def normalised() -> Proto:
    return between(
        node("InstanceNormalization", ["b", "g", "o"], ["i"]),
        node("PRelu", ["i", "p"], ["r"]),
        node("LogSoftmax", ["r"], ["s"], axis=1),
        node("ReduceL2", ["s"], ["l"], axes=[1]),
        node("Div", ["s", "l"], ["e"]),
        g=floats(8) + 1,
        o=floats(8),
        p=floats(8, 1, 1),
    )


@network
def ranked() -> Proto:
    nodes = [
        convolution("x", "b", "w"),
        node("TopK", ["b", "k"], ["v", "i"], axis=1),
        node("ArgMax", ["b"], ["a"], axis=1, keepdims=0),
        node("CumSum", ["v", "one"], ["y"]),
    ]
    weights = {"w": floats(8, 3, 3, 3), "k": np.array([3]), "one": np.array(1)}
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y", "i", "a"], weights)


@network
def groups_of_every_width() -> Proto:
    nodes = [
        convolution("x", "a", "w1", pads=[1, 1, 1, 1], group=2),
        convolution("a", "b", "w2", pads=[1, 1, 1, 1], group=32),
        convolution("b", "c", "w3", dilations=[2, 2], group=2),
        node("ConvTranspose", ["c", "t"], ["u"], strides=[2, 2], output_padding=[1, 1], group=2),
        convolution("u", "y", "w4"),
    ]
    weights = {
        "w1": floats(32, 2, 3, 3),
        "w2": floats(32, 1, 3, 3),
        "w3": floats(64, 16, 3, 3),
        "t": floats(64, 4, 3, 3),
        "w4": floats(4, 8, 1, 1),
    }
    return graph(nodes, {"x": [1, 4, 8, 8]}, ["y"], weights)


@network
def one_and_three_dimensions() -> Proto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        node("MaxPool", ["c"], ["p"], kernel_shape=[2]),
        node("Unsqueeze", ["p", "two"], ["u"]),
        node("Conv", ["u", "v"], ["d"], pads=[1, 0, 0, 1, 0, 0]),
        node("Squeeze", ["d", "two"], ["y"]),
    ]
    weights = {"w": floats(6, 3, 3), "v": floats(5, 6, 3, 1, 1), "two": np.array([3, 4])}
    return graph(nodes, {"x": [2, 3, 8]}, ["y"], weights)


@network
def attention() -> Proto:
    nodes = [
        *(node("MatMul", ["x", name], [f"{name}x"]) for name in "qkv"),
        node("Transpose", ["kx"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["qx", "kt"], ["s"]),
        node("Div", ["s", "root"], ["d"]),
        node("Where", ["mask", "d", "least"], ["m"]),
        node("Softmax", ["m"], ["p"], axis=-1),
        node("MatMul", ["p", "vx"], ["y"]),
    ]
    weights = {name: floats(8, 8) for name in "qkv"}
    causal = {"mask": np.tril(np.ones((5, 5), bool)), "least": np.float32(-np.inf), "root": np.float32(8**0.5)}
    return graph(nodes, {"x": [2, 5, 8]}, ["y"], {**weights, **causal})


@network
def half_precision_cnn() -> Proto:
    nodes = [
        convolution("x", "c", "w"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        node("Clip", ["n", "low"], ["k"]),
        node("Exp", ["k"], ["e"]),
        node("Tanh", ["e"], ["t"]),
        node("Softmax", ["t"], ["y"], axis=1),
    ]
    statistics = {name: (np.abs(floats(4)) + np.float32(0.5)).astype(np.float16) for name in "gbmv"}
    weights = {"w": floats(4, 3, 3, 3).astype(np.float16), "low": np.float16(0), **statistics}
    return graph(nodes, {"x": ([1, 3, 6, 6], TensorProto.FLOAT16)}, ["y"], weights)


@network
def functions_of_doubles() -> Proto:
    nodes = [
        node("Exp", ["x"], ["e"]),
        node("Tanh", ["e"], ["t"]),
        node("Softmax", ["t"], ["s"]),
        node("Erf", ["x"], ["f"]),
        node("Sqrt", ["two"], ["r"]),
        node("Div", ["s", "r"], ["q"]),
        node("Sum", ["q", "f", "two"], ["y"]),
    ]
    return graph(nodes, {"x": ([2, 3], TensorProto.DOUBLE)}, ["y"], {"two": np.array(2.0)})


@network
def quantised_cnn() -> Proto:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("DequantizeLinear", ["wq", "ws"], ["wd"], axis=0),
        convolution("xd", "c", "wd"),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "t", "u"], ["rq"]),
        node("DequantizeLinear", ["rq", "t", "u"], ["y"]),
    ]
    weights = {
        "s": np.float32(0.03),
        "z": np.uint8(128),
        "wq": np.random.default_rng(5).integers(-90, 90, (6, 3, 3, 3)).astype(np.int8),
        "ws": np.abs(floats(6)) / 100 + np.float32(0.003),
        "t": np.float32(0.05),
        "u": np.uint8(0),
    }
    return graph(nodes, {"x": [1, 3, 6, 6]}, ["y"], weights)


@network
def integers_of_every_width() -> Proto:
    nodes = [
        node("Cast", ["x"], ["i"], to=TensorProto.INT32),
        node("Mod", ["i", "seven"], ["m"]),
        node("BitShift", ["b", "one"], ["s"], direction="LEFT"),
        node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        node("Equal", ["m", "zero"], ["y"]),
        node("Not", ["y"], ["n"]),
    ]
    weights = {"seven": np.int32(7), "one": np.array([1], np.uint8), "zero": np.int32(0)}
    inputs = {"x": ([2, 4], TensorProto.INT16), "b": ([3], TensorProto.UINT8)}
    return graph(nodes, inputs, ["m", "s", "f", "y", "n"], weights, opset=18)
