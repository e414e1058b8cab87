"""Modules whose weights are stored once for many stages, and those of older versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.errors import ToolchainError
from sweep.toolchain.module_files import _constants
from tests.toolchain.conftest import Run, build, lower

pytestmark = pytest.mark.tvm

WEIGHT = np.random.default_rng(5).standard_normal((1500, 1600)).astype(np.float32)
"""9.6 MB: more than a `model.onnx` has in itself."""


@pytest.fixture(scope="module")
def imports(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The import of a large network for each of four batches."""
    folder = tmp_path_factory.mktemp("sweep")
    values = {"data": ["N", 1500], "y": ["N", 1600]}
    data, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items())
    nodes = [helper.make_node("MatMul", ["data", "w"], ["p"]), helper.make_node("Relu", ["p"], ["y"])]
    graph = helper.make_graph(nodes, "large", [data], [y], [numpy_helper.from_array(WEIGHT, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    folders = {batch: folder / "artifacts" / "import" / f"b{batch}" for batch in (1, 2, 4, 8)}
    for batch, out_dir in folders.items():
        options = {"inputs": {}, "batch": batch, "seed": 0, "weights": "as-is"}
        run("import_model", options=options, hints={"path": str(folder / "net.onnx")}, out_dir=str(out_dir))
    return folders


def disk_bytes(*folders: Path) -> int:
    """What files take, each once however many links it has."""
    files = {path.stat().st_ino: path.stat().st_size for folder in folders for path in folder.rglob("*")}
    return sum(files.values())


def weights_of(folder: Path) -> Path:
    (path,) = folder.glob("weights-*.bin")
    return path


def test_four_batches_of_a_model_have_its_weights_once(imports: dict[int, Path]) -> None:
    assert WEIGHT.nbytes < disk_bytes(*imports.values()) < WEIGHT.nbytes * 1.05
    assert {weights_of(folder).stat().st_nlink for folder in imports.values()} >= {4}
    assert weights_of(imports[1]).read_bytes() == WEIGHT.tobytes()
    for folder in imports.values():
        assert (folder / "model.onnx").stat().st_size < 10_000
        assert (folder / "module.json").stat().st_size < 30_000


def test_onnxruntime_reads_the_shared_weights_and_a_copy_is_a_network_for_everybody(
    imports: dict[int, Path], tmp_path: Path
) -> None:
    with np.load(imports[4] / "inputs.npz") as stored:
        data = stored["data"]
    expected = np.maximum(data @ WEIGHT, 0)
    session = onnxruntime.InferenceSession(imports[4] / "model.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"data": data})[0], expected, rtol=1e-3, atol=1e-3)
    with np.load(imports[4] / "reference.npz") as stored:
        np.testing.assert_allclose(stored["output_0"], expected, rtol=1e-3, atol=1e-3)
    (weight,) = onnx.load(shutil.copytree(imports[4], tmp_path / "copy") / "model.onnx").graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(weight), WEIGHT)


def test_a_lowered_module_shares_the_weights_that_it_leaves_as_they_are(
    run: Run, imports: dict[int, Path], tmp_path: Path
) -> None:
    lower(run, imports[1], tmp_path / "lower", 0)
    assert weights_of(tmp_path / "lower").samefile(weights_of(imports[1]))
    result = build(run, tmp_path / "lower", tmp_path / "build")
    assert result["artifact_bytes"] > WEIGHT.nbytes


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_what_an_older_version_has_imported_lowers_to_the_same(
    run: Run, small: Path, tmp_path: Path, level: int
) -> None:
    (tmp_path / "old").mkdir()
    run(":write_whole", from_dir=str(small), to_dir=str(tmp_path / "old"))
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["module.json"]
    new = lower(run, small, tmp_path / "new-lower", level)
    old = lower(run, tmp_path / "old", tmp_path / "old-lower", level)
    assert new["tasks"] == old["tasks"]
    found = run(":same_modules", one=str(tmp_path / "new-lower"), other=str(tmp_path / "old-lower"))
    assert found["same"]
    assert found["parameters"] == 1
    assert found["constants"] >= 2
    assert len(json.loads((tmp_path / "new-lower" / "constants.json").read_text())) >= 2


@pytest.mark.parametrize("file", ["../weights.bin", "/etc/passwd", "a/weights.bin", "", "..", None])
def test_constants_that_a_folder_has_elsewhere_are_neither_read_nor_linked(file: str | None, tmp_path: Path) -> None:
    constant = {"file": file, "offset_bytes": 0, "shape": [1], "dtype": "float32", "sha256": "0" * 64}
    (tmp_path / "constants.json").write_text(json.dumps([constant]))

    with pytest.raises(ToolchainError, match=r"constants\.json: the file .* of a constant is not beside it"):
        _constants(tmp_path)
