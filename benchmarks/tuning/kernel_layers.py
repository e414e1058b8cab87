"""Layers that networks are made of, each as an ONNX network of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["LAYERS", "Layer"]

_IR_VERSION, _OPSET = 9, 17


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: where it is from, and its network."""

    kind: str
    """convolution, depthwise, rows (softmax, layer norm) or function."""
    model: Any
    """An `onnx.ModelProto` of one input `x`."""


def _model(shape: tuple[int, ...], nodes: list[Any], constants: dict[str, Any]) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _depthwise(size: int, channels: int, window: int, stride: int = 1) -> Layer:
    return Layer("depthwise", _convolution(size, channels, (channels, 1, window), stride, channels))


def _three_by_three(size: int, inputs: int, outputs: int) -> Layer:
    return Layer("convolution", _convolution(size, inputs, (outputs, inputs, 3), 1, 1))


def _convolution(size: int, inputs: int, weights: tuple[int, int, int], stride: int, groups: int) -> Any:
    """With bias and ReLU. weights: channels of the output and of a group, and the window."""
    from onnx import helper

    random, (outputs, of_group, window) = np.random.default_rng(0), weights
    constants = {
        "weight": random.normal(0, 0.2, (outputs, of_group, window, window)),
        "bias": random.normal(0, 1, outputs),
    }
    pads = {"pads": [window // 2] * 4, "strides": [stride] * 2, "group": groups}
    nodes = [
        helper.make_node("Conv", ["x", "weight", "bias"], ["sum"], kernel_shape=[window] * 2, **pads),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    return _model((1, inputs, size, size), nodes, constants)


def _softmax(*shape: int) -> Layer:
    from onnx import helper

    return Layer("rows", _model(shape, [helper.make_node("Softmax", ["x"], ["y"], axis=-1)], {}))


def _layer_norm(*shape: int) -> Layer:
    from onnx import helper

    random = np.random.default_rng(0)
    constants = {"scale": random.normal(1, 0.1, shape[-1]), "shift": random.normal(0, 0.1, shape[-1])}
    node = helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["y"], axis=-1, epsilon=1e-6)
    return Layer("rows", _model(shape, [node], constants))


def _gelu(*shape: int) -> Layer:
    """By erf, as exported from torch."""
    from onnx import helper

    nodes = [
        helper.make_node("Div", ["x", "root"], ["scaled"]),
        helper.make_node("Erf", ["scaled"], ["erf"]),
        helper.make_node("Add", ["erf", "one"], ["raised"]),
        helper.make_node("Mul", ["x", "raised"], ["double"]),
        helper.make_node("Mul", ["double", "half"], ["y"]),
    ]
    return Layer("function", _model(shape, nodes, {"root": 2**0.5, "one": 1.0, "half": 0.5}))


def _silu(*shape: int) -> Layer:
    from onnx import helper

    nodes = [helper.make_node("Sigmoid", ["x"], ["gate"]), helper.make_node("Mul", ["x", "gate"], ["y"])]
    return Layer("function", _model(shape, nodes, {}))


def _tanh(*shape: int) -> Layer:
    from onnx import helper

    return Layer("function", _model(shape, [helper.make_node("Tanh", ["x"], ["y"])], {}))


LAYERS = {
    "MobileNetV2 112x112x32": lambda: _depthwise(112, 32, 3),
    "MobileNetV2 112x112x96 /2": lambda: _depthwise(112, 96, 3, 2),
    "MobileNetV2 56x56x144": lambda: _depthwise(56, 144, 3),
    "MobileNetV2 28x28x192": lambda: _depthwise(28, 192, 3),
    "MobileNetV2 14x14x384": lambda: _depthwise(14, 384, 3),
    "MobileNetV2 7x7x960": lambda: _depthwise(7, 960, 3),
    "MobileNetV3 28x28x96, 5x5 /2": lambda: _depthwise(28, 96, 5, 2),
    "MobileNetV3 14x14x240, 5x5": lambda: _depthwise(14, 240, 5),
    "MobileNetV3 7x7x576, 5x5": lambda: _depthwise(7, 576, 5),
    "VGG 224x224x64": lambda: _three_by_three(224, 64, 64),
    "VGG 112x112x64 to 128": lambda: _three_by_three(112, 64, 128),
    "VGG 112x112x128": lambda: _three_by_three(112, 128, 128),
    "VGG 56x56x128 to 256": lambda: _three_by_three(56, 128, 256),
    "VGG 56x56x256": lambda: _three_by_three(56, 256, 256),
    "VGG 28x28x256 to 512": lambda: _three_by_three(28, 256, 512),
    "VGG 28x28x512": lambda: _three_by_three(28, 512, 512),
    "VGG 14x14x512": lambda: _three_by_three(14, 512, 512),
    "ResNet 56x56x64, 3x3": lambda: _three_by_three(56, 64, 64),
    "ResNet 28x28x128, 3x3": lambda: _three_by_three(28, 128, 128),
    "ResNet 14x14x256, 3x3": lambda: _three_by_three(14, 256, 256),
    "ResNet 7x7x512, 3x3": lambda: _three_by_three(7, 512, 512),
    "SqueezeNet 27x27x32 to 128, 3x3": lambda: _three_by_three(27, 32, 128),
    "DenseNet 28x28x128 to 32, 3x3": lambda: _three_by_three(28, 128, 32),
    "ViT softmax 12x197x197": lambda: _softmax(12, 197, 197),
    "BERT softmax 4x128x128": lambda: _softmax(4, 128, 128),
    "ViT layer norm 197x768": lambda: _layer_norm(1, 197, 768),
    "BERT layer norm 128x256": lambda: _layer_norm(1, 128, 256),
    "ViT GELU 197x3072": lambda: _gelu(197, 3072),
    "BERT tanh 128x256": lambda: _tanh(128, 256),
    "EfficientNet SiLU 32x112x112": lambda: _silu(1, 32, 112, 112),
}
"""By name; each is made when it is asked for."""
