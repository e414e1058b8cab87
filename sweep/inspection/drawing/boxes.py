"""The boxes of a picture: an operator, with those that only change its output in place behind it.

A convolution with its normalisation and its activation is one box: ResNet-50 has 176 operators and 75 boxes, which is
what a person can follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sweep.inspection.counting.complexity import LayerComplexity
from sweep.inspection.network_graph import NetworkGraph, Node

__all__ = ["Box", "boxes_of", "in_words"]

_FOLLOWERS = (
    "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid",
    "Softmax", "Dropout", "Identity", "QuantizeLinear", "DequantizeLinear", "RELU", "RELU6", "PRELU", "LOGISTIC",
    "HARD_SWISH",
    "SOFTMAX", "QUANTIZE", "DEQUANTIZE", "relu.default", "batch_norm.default", "hardswish.default", "silu.default",
    "hardtanh.default", "_native_batch_norm_legit_no_training.default", "gelu.default", "sigmoid.default",
)  # fmt: skip
"""Operators that join the box before them, where nothing else takes its output."""
_MOST = 4


@dataclass(slots=True)
class Box:
    """Operators that are drawn as one."""

    title: str
    kind: str
    """Of the first operator, for its colour."""
    detail: str = ""
    before: list[int] = field(default_factory=list)
    """Numbers of the boxes that it takes values from, each once."""


def boxes_of(graph: NetworkGraph, layers: Sequence[LayerComplexity]) -> list[Box]:
    """In an order in which they can be run; the inputs of the network are the first, its outputs the last."""
    costs = {layer.name: layer for layer in layers}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(tensor.name for tensor in graph.outputs)
    boxes = [Box(tensor.name, "input", _shape(graph, tensor.name)) for tensor in graph.inputs]
    maker = {tensor.name: index for index, tensor in enumerate(graph.inputs)}
    joined: Counter[int] = Counter()
    for node in graph.nodes:
        sources = list(dict.fromkeys(maker[name] for name in node.inputs if name in maker))
        only = sources[0] if len(sources) == 1 else None
        value = next((name for name in node.inputs if name in maker), "")
        follows = node.operator in _FOLLOWERS and uses[value] == 1
        if follows and only is not None and only >= len(graph.inputs) and joined[only] < _MOST:
            joined[only] += 1
            boxes[only].title += f" → {node.operator.removesuffix('.default')}"
            maker.update(dict.fromkeys(node.outputs, only))
            continue
        maker.update(dict.fromkeys(node.outputs, len(boxes)))
        boxes.append(_box(graph, node, costs.get(node.name), sources))
    given = [tensor.name for tensor in graph.outputs if tensor.name in maker]
    return boxes + [Box(name, "output", _shape(graph, name), [maker[name]]) for name in given]


def _box(graph: NetworkGraph, node: Node, cost: LayerComplexity | None, sources: list[int]) -> Box:
    kind = node.operator.removesuffix(".default")
    parts = [_shape(graph, node.outputs[0]) if node.outputs else ""]
    if cost is not None and cost.parameters:
        parts.append(f"{in_words(cost.parameters)} parameters")
    if cost is not None and cost.macs_dense:
        parts.append(f"{in_words(cost.macs_dense)} MACs")
    return Box(f"{kind}{_kernel(node.attributes)}", kind, "  ".join(filter(None, parts)), sources)


def _kernel(attributes: Mapping[str, object]) -> str:
    """Of a convolution or pooling: ` 3x3 /2`."""
    kernel, strides = attributes.get("kernel_shape"), attributes.get("strides")
    text = f" {'x'.join(map(str, kernel))}" if isinstance(kernel, list) else ""
    if isinstance(strides, list) and any(stride != 1 for stride in strides):
        text += f" /{'x'.join(map(str, dict.fromkeys(strides)))}"
    return text


def _shape(graph: NetworkGraph, name: str) -> str:
    tensor = graph.tensors.get(name)
    return "" if tensor is None or tensor.shape is None else "x".join(map(str, tensor.shape))


def in_words(number: int) -> str:
    """A count as people say it: `4.09 G`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
