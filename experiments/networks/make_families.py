"""Makes six small networks of different families, for studies of many networks that take minutes.

    python experiments/networks/make_families.py

The files lie here, so that nobody need run this: weights are `ConstantOfShape`, which an import fills with seeded
random values, so that a file has 3 to 11 kB. Each takes pictures of 3 x 48 x 48, any number at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = Path(__file__).parent
SIDE, CLASSES, OPSET, IR_VERSION = 48, 100, 17, 9


class Drawing:
    """A network that grows from its input on; each layer gives the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._shapes: list[Any] = []
        self._channels = {"image": 3}

    def channels(self, data: str) -> int:
        return self._channels[data]

    def convolution(self, data: str, width: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        """With a bias and no activation; its output has the size of the input over the stride."""
        inputs = [data, self._constant([width, self.channels(data) // groups, kernel, kernel]), self._constant([width])]
        settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups, "pads": [kernel // 2] * 4}
        return self._add("Conv", inputs, width, **settings)

    def active(self, data: str, width: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        return self.relu(self.convolution(data, width, kernel, stride, groups))

    def relu(self, data: str) -> str:
        return self._add("Relu", [data], self.channels(data))

    def sum(self, one: str, other: str) -> str:
        return self._add("Add", [one, other], self.channels(one))

    def joined(self, *parts: str) -> str:
        return self._add("Concat", parts, sum(map(self.channels, parts)), axis=1)

    def pooled(self, data: str) -> str:
        return self._add("MaxPool", [data], self.channels(data), kernel_shape=[2, 2], strides=[2, 2])

    def saved(self, data: str, name: str) -> None:
        """Closed by a mean over the picture and a dense layer, checked, and written."""
        mean = self._add("GlobalAveragePool", [data], self.channels(data))
        flat = self._add("Flatten", [mean], self.channels(data))
        weights = self._constant([self.channels(data), CLASSES]), self._constant([CLASSES])
        scores = self._add("Gemm", [flat, *weights], CLASSES)
        values = [
            helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)
            for value, shape in (("image", ["batch", 3, SIDE, SIDE]), (scores, ["batch", CLASSES]))
        ]
        graph = helper.make_graph(self.nodes, name, values[:1], values[1:], self._shapes)
        opsets = [helper.make_opsetid("", OPSET)]
        network = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        checker.check_model(network, full_check=True)
        save(network, HERE / f"{name}.onnx")

    def _constant(self, shape: list[int]) -> str:
        name = f"weights{len(self._shapes)}"
        self._shapes.append(numpy_helper.from_array(np.array(shape, dtype=np.int64), f"{name}_shape"))
        filled = numpy_helper.from_array(np.array([0.01], dtype=np.float32))
        self.nodes.append(helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=filled))
        return name

    def _add(self, operator: str, inputs: Any, channels: int, **settings: Any) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **settings))
        self._channels[name] = channels
        return name


def plain(net: Drawing) -> str:
    """As VGG: pairs of 3x3 convolutions between poolings."""
    data = net.active("image", 16, stride=2)
    for width in (32, 64, 96):
        data = net.active(net.active(data, width), width)
        data = net.pooled(data)
    return data


def residual(net: Drawing) -> str:
    """As ResNet-18: two 3x3 convolutions beside a way around them."""
    data = net.active("image", 24, stride=2)
    for width, stride in ((24, 1), (48, 2), (48, 1), (96, 2), (96, 1)):
        inner = net.convolution(net.active(data, width, stride=stride), width)
        around = data if stride == 1 else net.convolution(data, width, 1, stride)
        data = net.relu(net.sum(inner, around))
    return data


def bottleneck(net: Drawing) -> str:
    """As ResNet-50: a 3x3 convolution between two of 1x1, the second of which widens."""
    data = net.active("image", 32, stride=2)
    for width, stride in ((24, 1), (24, 1), (48, 2), (48, 1), (80, 2), (80, 1)):
        inner = net.convolution(net.active(net.active(data, width, 1), width, stride=stride), 3 * width, 1)
        same = stride == 1 and net.channels(data) == 3 * width
        around = data if same else net.convolution(data, 3 * width, 1, stride)
        data = net.relu(net.sum(inner, around))
    return data


def fire(net: Drawing) -> str:
    """As SqueezeNet: a few channels, and 1x1 and 3x3 convolutions of them side by side."""
    data = net.pooled(net.active("image", 48, stride=1))
    for width in (16, 16, 0, 24, 24, 0, 32, 48):
        if not width:
            data = net.pooled(data)
            continue
        few = net.active(data, width, 1)
        data = net.joined(net.active(few, 3 * width, 1), net.active(few, 3 * width))
    return data


def separable(net: Drawing) -> str:
    """As MobileNet: depthwise 3x3 convolutions, each before one of 1x1."""
    data = net.active("image", 24, stride=2)
    for width, stride in ((48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (192, 1), (256, 2)):
        data = net.active(net.active(data, net.channels(data), 3, stride, net.channels(data)), width, 1)
    return data


def inverted(net: Drawing) -> str:
    """As MobileNetV2: narrow sums around wide depthwise convolutions."""
    data = net.active("image", 16, stride=2)
    for width, stride in ((16, 1), (24, 2), (24, 1), (40, 2), (40, 1), (64, 1), (64, 1), (96, 2)):
        wide = net.active(data, 5 * net.channels(data), 1)
        deep = net.active(wide, net.channels(wide), 3, stride, net.channels(wide))
        narrow = net.convolution(deep, width, 1)
        data = net.sum(narrow, data) if stride == 1 and net.channels(data) == width else narrow
    return net.active(data, 256, 1)


FAMILIES: tuple[Callable[[Drawing], str], ...] = (plain, residual, bottleneck, fire, separable, inverted)


if __name__ == "__main__":
    for family in FAMILIES:
        drawing = Drawing()
        drawing.saved(family(drawing), family.__name__)
