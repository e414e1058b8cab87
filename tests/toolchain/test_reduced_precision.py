"""Layers on numbers of 16 bits, all of them or but for those that are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LowerFailed
from tests.toolchain.conftest import Run, build, import_file, lower
from tests.variants import only

pytestmark = [pytest.mark.integration, pytest.mark.tvm]


@pytest.fixture(scope="module")
def named(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions and a dense layer with names."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw, folder = np.random.default_rng(3), tmp_path_factory.mktemp("named")
    shapes = {"w1": (16, 8, 3, 3), "w2": (32, 16, 1, 1), "w3": (32, 10), "b1": (16,)}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="stem/conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="stem/relu"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="body/conv"),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "w3"], ["y"], name="head/dense"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 12, 12])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])]
    arrays = [numpy_helper.from_array(draw.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    graph = helper.make_graph(nodes, "named", inputs, outputs, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "named.onnx"))
    import_file(run, folder / "named.onnx", folder / "import")
    return folder / "import"


def _difference(run: Run, imported: Path, folder: Path, level: int, **axes: Any) -> float:
    lower(run, imported, folder / "lower", level, **axes)
    build(run, folder / "lower", folder / "build")
    found = run(":run_artifact", artifact_dir=str(folder / "build"), import_dir=str(imported))
    return float(found["difference"] / found["greatest"])


@pytest.mark.parametrize("level", only([3], range(5)))
def test_a_short_type_is_right_at_every_level(run: Run, named: Path, tmp_path: Path, level: int) -> None:
    """bfloat16 keeps 8 bits, float16 11: that is how far the answers are off, and no further."""
    of = {
        dtype: _difference(run, named, tmp_path / dtype, level, precision=dtype)
        for dtype in ("float32", "float16", "bfloat16")
    }
    assert of["float32"] < 1e-5
    assert 1e-5 < of["float16"] < 5e-3
    assert of["float16"] < of["bfloat16"] < 4e-2
    assert b"bfloat16" in (tmp_path / "bfloat16" / "lower" / "module.json").read_bytes()


def test_layers_are_kept_by_name_and_by_place(run: Run, named: Path, tmp_path: Path) -> None:
    def off(folder: str, level: int = 3, dtype: str = "bfloat16", **options: Any) -> float:
        return _difference(run, named, tmp_path / folder, level, precision=dtype, precision_options=options)

    every = off("every", float32=["*"])
    assert every < 1e-5, "all layers are in float32"
    some = off("some", float32=["stem/*", "head/dense"])
    ends = off("ends", float32_first=True, float32_last=True)
    assert 1e-5 < some < 4e-2
    assert ends == some, "these are the first and the last"
    modules = [(tmp_path / name / "lower" / "module.json").read_bytes() for name in ("some", "ends")]
    assert modules[0] == modules[1]
    assert off("fast", 4, "float16", float32=["body/*"]) < 5e-3


def test_a_name_of_no_layer_is_told_with_those_that_there_are(run: Run, named: Path, tmp_path: Path) -> None:
    options = {"float32": ["stem/conv", "stem/relu"]}
    with pytest.raises(LowerFailed, match=r"'stem/relu', which is no layer.*allowed: stem/conv, body/conv, head/dense"):
        lower(run, named, tmp_path / "lower", 3, precision="bfloat16", precision_options=options)
