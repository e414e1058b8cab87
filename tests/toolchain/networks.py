"""Networks made here to test what the shipped ones do not have in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_branches(path: Path, window: int = 1) -> None:
    """Local response normalisation, a chain of concatenations as in DenseNet, parallel convolutions, a tensor beside
    itself, narrow and wide groups, a channel shuffle, an average over padding, a residual, and a flattening of more
    than channels.

    window: of the narrow groups.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(5)
    nodes: list[Any] = []
    stored: list[Any] = []

    def keep(name: str, array: Any) -> str:
        stored.append(numpy_helper.from_array(array, name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolve(data: str, output: str, shape: tuple[int, ...], relu: bool = True, **attributes: Any) -> str:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight = keep(f"{output}_weight", (generator.standard_normal(shape) * scale).astype(np.float32))
        bias = keep(f"{output}_bias", generator.standard_normal(shape[0]).astype(np.float32) * np.float32(0.1))
        made = add("Conv", [data, weight, bias], f"{output}_sum" if relu else output, **attributes)
        return add("Relu", [made], output) if relu else made

    first = convolve("x", "first", (16, 8, 3, 3), pads=[1, 1, 1, 1])
    response = add("LRN", [first], "response", size=5, alpha=0.5, beta=0.75, bias=2.0)
    pooled = add("MaxPool", [response], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    chain = pooled
    for number, channels in ((1, 16), (2, 24)):
        grown = convolve(chain, f"grown{number}", (8, channels, 1, 1))
        chain = add("Concat", [chain, grown], f"chain{number}", axis=1)
    left, right = convolve(chain, "left", (8, 32, 1, 1)), convolve(chain, "right", (24, 32, 1, 1))
    pair = add("Concat", [left, right], "pair", axis=1)
    twice = add("Concat", [left, left], "twice", axis=1)
    mixed = convolve(add("MaxPool", [twice], "most", kernel_shape=[1, 1]), "mixed", (32, 16, 1, 1), relu=False)
    grouped = convolve(
        add("Add", [pair, mixed], "sum"), "grouped", (32, 8, window, window), pads=[window // 2] * 4, group=4
    )
    split = add("Reshape", [grouped, keep("split_shape", np.array([1, 4, 8, 7, 7]))], "split")
    turned = add("Transpose", [split], "turned", perm=[0, 2, 1, 3, 4])
    shuffled = add("Reshape", [turned, keep("join_shape", np.array([1, 32, 7, 7]))], "shuffled")
    depthwise = convolve(shuffled, "depthwise", (32, 1, 3, 3), relu=False, pads=[1, 1, 1, 1], group=32)
    averaged = add("AveragePool", [chain], "averaged", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    both = add("Relu", [add("Concat", [depthwise, averaged], "both", axis=1)], "rectified")
    residual = add("Add", [both, convolve(chain, "wide", (64, 16, 1, 1), relu=False, group=2)], "residual")
    flat = add("Flatten", [residual], "flat")
    dense = keep("dense", (generator.standard_normal((64 * 49, 10)) / 50).astype(np.float32))
    add("Softmax", [add("MatMul", [flat, dense], "logits")], "y")

    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 14, 14])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])]
    graph = helper.make_graph(nodes, "branches", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
