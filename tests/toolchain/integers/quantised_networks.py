"""A small quantised ONNX network with what a convolutional network has, in the forms in which tools write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper

Array = npt.NDArray[Any]

STEP = 0.1
"""Between two codes of the output."""


@dataclass
class Writer:
    """Writes nodes, each behind the quantisation of its operands."""

    activations: str = "uint8"
    per_channel: bool = True
    weights: str = "int8"
    nodes: list[Any] = field(default_factory=list)
    stored: dict[str, Array] = field(default_factory=dict)
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    scales: Array = field(default_factory=lambda: np.ones(1, np.float32))
    """Of the last weights."""

    def constant(self, value: Any) -> str:
        name = f"constant{len(self.stored)}"
        self.stored[name] = np.asarray(value)
        return name

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def activation(self, value: str, scale: float, zero: int) -> str:
        """zero: as of uint8."""
        codes = np.array(zero if self.activations == "uint8" else zero - 128, self.activations)
        parameters = self.constant(np.float32(scale)), self.constant(codes)
        return self.op("DequantizeLinear", self.op("QuantizeLinear", value, *parameters), *parameters)

    def weight(self, shape: tuple[int, ...]) -> str:
        low, high, middle = (-127, 128, 0) if self.weights == "int8" else (0, 256, 128)
        codes = self.generator.integers(low, high, shape).astype(self.weights)
        many = shape[0] if self.per_channel else 1
        self.scales = (self.generator.uniform(0.5, 1.5, many) * 0.01).astype(np.float32)
        zeros = (middle + self.generator.integers(-9, 9, many) * (middle > 0)).astype(self.weights)
        if not self.per_channel:
            return self.op("DequantizeLinear", *map(self.constant, (codes, self.scales[0], zeros[0])))
        return self.op("DequantizeLinear", *map(self.constant, (codes, self.scales, zeros)), axis=0)

    def convolution(self, data: str, scale: float, shape: tuple[int, ...], **attributes: Any) -> str:
        weight = self.weight(shape)
        many = shape[0]
        scales = (np.float32(scale) * np.broadcast_to(self.scales, (many,))).astype(np.float32)
        codes = self.generator.integers(-2000, 2000, many).astype(np.int32)
        bias = self.op("DequantizeLinear", self.constant(codes), self.constant(scales), axis=0)
        return self.op("Conv", data, weight, bias, **attributes)


def network(activations: str = "uint8", per_channel: bool = True, weights: str = "int8") -> Any:
    """Convolutions (a strided one, a wide one, one a channel, one of a point), pools, a residual, a concatenation, a
    classifier; 3 x 12 x 12 floats in, 10 floats out, which are codes times `STEP`.
    """
    new = Writer(activations, per_channel, weights)
    around = [1, 1, 1, 1]
    data = new.activation("x", 0.02, 128)
    first = new.op("Relu", new.convolution(data, 0.02, (16, 3, 3, 3), pads=around, strides=[2, 2]))
    first = new.activation(first, 0.05, 0)
    first = new.activation(new.op("MaxPool", first, kernel_shape=[3, 3], strides=[1, 1], pads=around), 0.05, 0)
    each = new.activation(new.convolution(first, 0.05, (16, 1, 3, 3), pads=around, group=16), 0.06, 120)
    point = new.activation(new.convolution(first, 0.05, (32, 16, 1, 1)), 0.11, 131)
    wide = new.activation(new.convolution(each, 0.06, (32, 16, 3, 3), pads=around), 0.17, 117)
    total = new.activation(new.op("Relu", new.op("Add", point, wide)), 0.15, 0)
    twice = new.op("Concat", total, new.op("MaxPool", total, kernel_shape=[1, 1]), axis=1)
    pooled = new.activation(new.op("GlobalAveragePool", new.activation(twice, 0.15, 0)), 0.1, 0)
    weight = new.weight((10, 64))
    bias = new.constant(new.generator.standard_normal(10).astype(np.float32))
    scores = new.activation(new.op("Gemm", new.op("Flatten", pooled), weight, bias, transB=1), STEP, 128)
    new.nodes.append(helper.make_node("Identity", [scores], ["y"]))
    return _written(new, [TensorProto.FLOAT, 1, 3, 12, 12], [TensorProto.FLOAT, 1, 10])


def codes_to_codes() -> Any:
    """One convolution of 3 x 3 of 8 to 16 channels at 6 x 6; codes of uint8 in, codes out."""
    new = Writer()
    scale, zero = new.constant(np.float32(0.02)), new.constant(np.uint8(9))
    data = new.op("DequantizeLinear", "x", scale, zero)
    result = new.op("Relu", new.convolution(data, 0.02, (16, 8, 3, 3), pads=[1, 1, 1, 1]))
    new.nodes.append(helper.make_node("QuantizeLinear", [result, scale, zero], ["y"]))
    return _written(new, [TensorProto.UINT8, 1, 8, 6, 6], [TensorProto.UINT8, 1, 16, 6, 6])


def _written(new: Writer, given: list[int], made: list[int]) -> Any:
    """given, made: the number type and the shape of input and output."""
    inputs = [helper.make_tensor_value_info("x", given[0], given[1:])]
    outputs = [helper.make_tensor_value_info("y", made[0], made[1:])]
    stored = [numpy_helper.from_array(array, name) for name, array in new.stored.items()]
    graph = helper.make_graph(new.nodes, "quantised", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model
