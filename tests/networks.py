"""Networks so small that each of their stages takes about a second, and files that are no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["write_corrupt", "write_invalid", "write_tiny", "write_unsupported"]


def write_tiny(path: Path, seed: int = 0) -> Path:
    """A convolution, a ReLU and a matrix product: two tuning tasks."""
    import onnx

    onnx.save(_model(_layers("y"), seed), str(path))
    return path


def write_unsupported(path: Path) -> Path:
    """A whole network, with an operator that TVM's importer does not know."""
    import onnx
    from onnx import helper

    nodes = [*_layers("z"), helper.make_node("Det", ["z"], ["d"]), helper.make_node("Add", ["z", "d"], ["y"])]
    onnx.save(_model(nodes, seed=0), str(path))
    return path


def write_corrupt(path: Path) -> Path:
    """The first half of a network."""
    whole = write_tiny(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def write_invalid(path: Path) -> Path:
    """A network whose header is whole, and which has a layer that takes what no other gives."""
    import onnx
    from onnx import helper

    onnx.save(_model([*_layers("z"), helper.make_node("Add", ["z", "gone"], ["y"])], seed=0), str(path))
    return path


def _layers(output: str) -> list[Any]:
    from onnx import helper

    return [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "weight"], [output]),
    ]


def _model(nodes: list[Any], seed: int) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(seed)
    shapes = {"kernel": (8, 3, 3, 3), "weight": (8 * 6 * 6, 10)}
    stored = [
        numpy_helper.from_array(generator.standard_normal(shape).astype("float32"), name)
        for name, shape in shapes.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "tiny", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
