"""A small file may declare a tensor of any size: what it would take is reckoned first, and held by a limit."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from sweep.errors import ImportFailed
from sweep.toolchain import host_memory
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from sweep.toolchain.host_memory import job_memory_bytes
from sweep.toolchain.models.onnx_simplify import fold_constants
from sweep.toolchain.models.onnx_sizes import check_tensors, outputs_bytes

LARGE = np.array([30_000, 20_000], "int64")
ONES = np.ones((1, 1, 2, 2), "float32")
NONE = np.zeros(0, "float32")
CASES: dict[str, tuple[dict[str, npt.NDArray[Any]], int]] = {
    "ConstantOfShape": ({"shape": LARGE}, 30_000 * 20_000),
    "Expand": ({"x": np.ones(1, "float32"), "shape": LARGE}, 30_000 * 20_000),
    "Tile": ({"x": np.ones((10, 10), "float32"), "repeats": LARGE}, 300_000 * 200_000),
    "Range": ({"start": np.array(0), "limit": np.array(10**12), "delta": np.array(1)}, 10**12),
    "Resize": ({"x": ONES, "roi": NONE, "scales": NONE, "sizes": np.array([1, 1, 10**5, 10**5])}, 10**10),
    "Pad": ({"x": ONES, "pads": np.array([0, 0, 0, 0, 0, 0, 10**5, 10**5])}, (10**5 + 2) ** 2),
    "Add": ({"x": np.ones((1, 10**5), "float32"), "y": np.ones((10**5, 1), "float32")}, 10**10),
    "MatMul": ({"x": np.ones((10**5, 1), "float32"), "y": np.ones((1, 10**5), "float32")}, 10**10),
}


def model_of(operator: str, feeds: dict[str, npt.NDArray[Any]]) -> Any:
    """Of one node, whose inputs are constants of the graph."""
    node = helper.make_node(operator, list(feeds), ["made"])
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    cast = helper.make_node("Cast", ["made"], ["w"], to=TensorProto.FLOAT)
    total = helper.make_node("ReduceSum", ["w"], ["s"], keepdims=0)
    added = helper.make_node("Add", ["s", "data"], ["z"])
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1])
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in feeds.items()]
    graph = helper.make_graph([node, cast, total, added], "small", [data], [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("operator", CASES)
def test_a_large_constant_is_not_folded(operator: str) -> None:
    feeds, values = CASES[operator]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = model_of(operator, feeds)
    fold_constants(model)
    assert model.graph.node[0].op_type == operator
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB"
    alone = model_of(operator, feeds)
    del alone.graph.node[1:]
    del alone.graph.initializer[:]
    del alone.graph.output[:]
    alone.graph.input.extend(
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    )
    alone.graph.output.add().name = "made"
    assert outputs_bytes(alone, feeds) == values * 8


def test_a_small_constant_is_folded() -> None:
    model = model_of("ConstantOfShape", {"shape": np.array([3, 2], "int64")})
    fold_constants(model)
    assert [node.op_type for node in model.graph.node] == ["Add"]


def test_an_import_that_needs_more_ends_with_the_reason(tmp_path: Path) -> None:
    """148 bytes that ask for 240 GB."""
    path = tmp_path / "small.onnx"
    onnx.save(model_of("ConstantOfShape", {"shape": LARGE * 5}), str(path))
    arguments = {
        "options": {"sha256": "0" * 64, "inputs": {}, "seed": 0},
        "hints": {"path": str(path), "name": "small", "source": "small.onnx"},
        "out_dir": str(tmp_path / "imported"),
    }
    with CompilePool(preload=False, memory_limit_bytes=3 << 30) as pool:
        job = CompileJob("sweep.toolchain.jobs:import_model", "ImportFailed")
        with pytest.raises(ImportFailed, match=r"'made' has 150000 x 100000 values: more than the [23]\.[0-9] GB"):
            pool.submit(job.within(120), arguments).result(180)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20, "kB"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensor: tensor.dims.append(3), "the tensor 'shape' has 16 bytes of int64; 2 x 3 has others"),
        (lambda tensor: tensor.ClearField("dims"), "the tensor 'shape' has 16 bytes of int64; a scalar has others"),
        (lambda tensor: tensor.dims.__setitem__(0, -2), "the tensor 'shape' has a shape with a negative size"),
        (
            lambda tensor: setattr(tensor, "data_type", 99),
            "the tensor 'shape' has a number type that ONNX does not know",
        ),
        (lambda tensor: setattr(tensor, "data_type", 1), "the tensor 'shape' has 16 bytes of float32; 2 has others"),
    ],
)
def test_a_tensor_of_other_bytes_than_its_shape_is_refused_by_name(change: Any, said: str) -> None:
    model = model_of("ConstantOfShape", {"shape": np.array([3, 2], "int64")})
    check_tensors(model)
    change(model.graph.initializer[0])
    with pytest.raises(ImportFailed) as caught:
        check_tensors(model)
    assert said in str(caught.value)


def test_a_job_has_a_share_of_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this host's, or of what its container has where that is less; a small one has a least."""
    none, limit = tmp_path / "none", tmp_path / "memory.max"
    whole = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    monkeypatch.setattr(host_memory, "_LIMITS", (none, limit))
    for said, of in (("max\n", whole), (f"{whole // 2}\n", whole // 2), (f"{1 << 20}\n", 1 << 20)):
        limit.write_text(said)
        assert job_memory_bytes() == pytest.approx(max(4 << 30, of * 3 // 4), abs=1 << 13)
