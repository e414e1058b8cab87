"""Networks whose file is of float16: their sums are in float32, whatever their terms are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.corpus.trial import try_network
from tests.variants import only

HALF = TensorProto.FLOAT16
POSITIVE = np.random.default_rng(0).uniform(0.3, 0.7, (2, 512, 3, 3)).astype(np.float16)
"""Added up in float16, thousands of such terms stop at 1,024: a half is lost there."""


def written(path: Path, node: Any, shape: list[int], weights: Any = None) -> Path:
    """A network of a node, whose inputs are of float16 and positive."""
    stored = [] if weights is None else [numpy_helper.from_array(weights, "w")]
    positive = [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Add", ["a", "one"], ["p"])]
    stored.append(numpy_helper.from_array(np.array([1], np.float16), "one"))
    values = [helper.make_tensor_value_info(name, HALF, size) for name, size in (("x", shape), ("y", None))]
    graph = helper.make_graph([*positive, node], "g", values[:1], values[1:], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


NETWORKS = {
    "convolution": (helper.make_node("Conv", ["p", "w"], ["y"]), [1, 512, 4, 4], POSITIVE),
    "product": (helper.make_node("MatMul", ["p", "w"], ["y"]), [2, 4608], POSITIVE.reshape(2, 4608).T.copy()),
    "mean": (helper.make_node("ReduceMean", ["p"], ["y"], axes=[1]), [2, 8000], None),
    "pool": (helper.make_node("GlobalAveragePool", ["p"], ["y"]), [1, 2, 80, 80], None),
}


@pytest.mark.tvm
@pytest.mark.parametrize("name", only(["convolution", "mean"], NETWORKS.keys()))
def test_sums_of_halves_do_not_stop(forge: CompilePool, tmp_path: Path, name: str) -> None:
    node, shape, weights = NETWORKS[name]
    outcome = try_network(forge, written(tmp_path / "net.onnx", node, shape, weights), (0, 3), tmp_path)
    assert (outcome.refused, outcome.unknown, dict(outcome.wrong)) == (None, None, {})
