"""Small ONNX networks as graphs, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sweep.inspection.network_graph import NetworkGraph
from sweep.inspection.readers.onnx_graph import graph_of_onnx, inferred

_OPSETS = {"": 17, "com.microsoft": 1, "com.example": 1}


def network(
    nodes: Sequence[Any],
    inputs: dict[str, Sequence[int | str]],
    weights: dict[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, dtype, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    domains = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    return helper.make_model(graph, opset_imports=domains, producer_name="tests", ir_version=10)


def graph_of(*args: Any, **kwargs: Any) -> NetworkGraph:
    return graph_of_onnx(inferred(network(*args, **kwargs)))
