"""Networks at the edge of what numbers and shapes are: NaN, infinities, no elements; and one of decision trees."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.corpus.networks import graph, network, node

Proto = Any


@network
def not_numbers() -> Proto:
    """The square root of a negative number goes through what compares; a maximum of nothing but infinities is one."""
    nodes = [
        node("Sqrt", ["x"], ["s"]),
        node("Clip", ["s", "zero", "one"], ["clipped"]),
        node("Relu", ["s"], ["relu"]),
        node("Elu", ["s"], ["elu"]),
        node("HardSigmoid", ["s"], ["hard"]),
        node("Sign", ["s"], ["sign"]),
        node("Max", ["one", "s", "x"], ["most"]),
        node("Min", ["x", "s"], ["least"]),
        node("Div", ["x", "zero"], ["over"]),
        node("Log", ["none"], ["log"]),
        node("Add", ["log", "x"], ["lost"]),
        node("ReduceMax", ["lost"], ["rows"], axes=[1]),
    ]
    outputs = ["clipped", "relu", "elu", "hard", "sign", "most", "least", "over", "rows"]
    weights = {"zero": np.float32(0), "one": np.float32(1), "none": np.zeros((2, 4), np.float32)}
    return graph(nodes, {"x": [2, 4]}, outputs, weights)


@network
def nothing() -> Proto:
    """An input without elements."""
    nodes = [
        node("Reshape", ["x", "shape"], ["y"], allowzero=1),
        node("Relu", ["x"], ["z"]),
        node("Add", ["a", "a"], ["b"]),
    ]
    return graph(nodes, {"x": [0, 4], "a": [2]}, ["y", "z", "b"], {"shape": np.array([4, 0])})


def trees(modes: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Attributes of an ensemble of two trees: one of two branches, and one of a single one."""
    return {
        "nodes_treeids": [0, 0, 0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
        "nodes_featureids": [0, 1, 0, 0, 0, 2, 0, 0],
        "nodes_modes": [modes[0], modes[1], "LEAF", "LEAF", "LEAF", modes[2], "LEAF", "LEAF"],
        "nodes_values": [0.1, -0.2, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0],
        "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0],
        **more,
    }


@network
def decision_trees() -> Proto:
    leaves = {
        "target_treeids": [0, 0, 0, 1, 1, 1, 1],
        "target_nodeids": [2, 3, 4, 1, 1, 2, 2],
        "target_ids": [0, 1, 0, 0, 1, 0, 1],
        "target_weights": [0.5, -1.5, 2.0, 3.0, 0.25, -1.0, 0.75],
    }
    shape = trees(("BRANCH_LEQ", "BRANCH_GT", "BRANCH_LEQ"), n_targets=2, base_values=[0.1, 0.2], **leaves)
    nodes = [
        node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.1, 0.2, 0.3], scale=[2.0, 1.0, 0.5]),
        node("TreeEnsembleRegressor", ["s"], ["y"], domain="ai.onnx.ml", **shape),
    ]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "trees",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6, 2])],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8,
    )
