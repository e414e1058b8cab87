"""The kernel size that a convolution states is held against its weight: code goes by the one and reads the other."""

from __future__ import annotations

from typing import Any

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_shapes import known_shapes

__all__ = ["check_kernels"]

_WEIGHT = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3, "DeformConv": 1}
"""Where a convolution has its weight: (output or input channels, channels of a group, *kernel)."""


def check_kernels(model: Any) -> None:
    """model: its shapes are inferred. Raises ImportFailed, with the first that contradicts itself."""
    shapes = known_shapes(model)
    for node in model.graph.node:
        at = _WEIGHT.get(node.op_type, len(node.input))
        stated = next((list(one.ints) for one in node.attribute if one.name == "kernel_shape"), None)
        shape = shapes.get(node.input[at]) if at < len(node.input) else None
        if node.domain or not stated or not shape:
            continue
        kernel = list(shape[2:])
        if len(kernel) != len(stated) or any(
            size not in (None, said) for size, said in zip(kernel, stated, strict=True)
        ):
            name = node.name or ", ".join(node.output)
            raise ImportFailed(
                f"{node.op_type} (node {name}) states a kernel_shape of {stated}; its weight has one of {kernel}"
            )
