from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.errors import ImportFailed
from sweep.files.npz import load_arrays
from tests.toolchain.conftest import QUICK, Run, build, import_light, light_model, lower

pytestmark = pytest.mark.tvm

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, Any] | None = None
) -> Path:
    stored = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def tensor(name: str, shape: list[Any], kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def relu(path: Path, shape: list[Any]) -> Path:
    return save(path, [helper.make_node("Relu", ["x"], ["y"])], [tensor("x", shape)], [tensor("y", shape)])


def network(path: Path) -> Path:
    """Two inputs, one of them indices; a dropout; a sum of three; a constant that has to be folded."""
    nodes = [
        helper.make_node("Gather", ["table", "index"], ["rows"]),
        helper.make_node("Neg", ["bias"], ["minus"]),
        helper.make_node("Sum", ["rows", "x", "minus"], ["total"]),
        helper.make_node("Dropout", ["total"], ["kept"]),
        helper.make_node("Relu", ["kept"], ["y"]),
        helper.make_node("MatMul", ["kept", "w"], ["z"]),
    ]
    generator = np.random.default_rng(0)
    weights = {
        "table": generator.standard_normal((8, 6)).astype(np.float32),
        "bias": generator.standard_normal(6).astype(np.float32),
        "w": generator.standard_normal((6, 3)).astype(np.float32),
    }
    inputs = [tensor("x", ["batch", 6]), tensor("index", ["batch"], INT64)]
    return save(path, nodes, inputs, [tensor("y", ["batch", 6]), tensor("z", ["batch", "classes"])], weights)


def load(run: Run, path: Path, out_dir: Path, **options: Any) -> dict[str, Any]:
    wanted = {"inputs": {}, "batch": None, "seed": 0, "weights": "as-is", **options}
    return run("import_model", options=wanted, hints={"path": str(path)}, out_dir=str(out_dir))


def test_squeezenet(squeezenet: tuple[Path, dict[str, Any]]) -> None:
    folder, result = squeezenet
    assert result["dir"] == "artifacts/import/0123"
    assert result["inputs"] == {"data_0": {"shape": [1, 3, 224, 224], "dtype": "float32"}}
    assert result["outputs"] == [{"name": "softmaxout_1", "shape": [1, 1000, 1, 1], "dtype": "float32"}]
    assert result["reference"] is True
    assert result["operators"]["Conv"] == 26
    assert not {"ConstantOfShape", "Dropout"} & set(result["operators"])
    assert 4_900_000 < result["params_bytes"] < 5_000_000
    assert result["formats"] == ["onnx"]
    *files, weights = sorted(path.name for path in folder.iterdir())
    assert files == ["constants.json", "inputs.npz", "model.onnx", "module.json", "outputs.json", "reference.npz"]
    assert re.fullmatch(r"weights-[0-9a-f]{32}\.bin", weights)
    assert not list(folder.parent.glob(".*"))


def test_random_weights_make_channels_differ_and_the_softmax_speak(squeezenet: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = squeezenet
    output = np.load(folder / "reference.npz")["output_0"].reshape(-1)
    assert output.sum() == pytest.approx(1, abs=1e-4)
    assert 0.02 < output.max() < 0.95
    assert (output > output.max() / 1000).sum() > 10
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(folder / "model.onnx")).graph.initializer}
    convolution = weights["conv1_w_0"]
    assert convolution.std() == pytest.approx((2 / np.prod(convolution.shape[1:])) ** 0.5, rel=0.05)


def test_the_same_seed_makes_the_same_network(
    run: Run, squeezenet: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    import_light(run, "squeezenet", tmp_path / "again")
    for name in ("model.onnx", "inputs.npz", "reference.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (squeezenet[0] / name).read_bytes()


def test_several_inputs_integers_dropout_sum_and_constants(run: Run, tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx")
    result = load(run, path, tmp_path / "import", inputs={"x": [4, 6], "index": [4]})
    assert list(result["inputs"]) == ["x", "index"]
    assert result["inputs"]["index"] == {"shape": [4], "dtype": "int64"}
    assert [output["shape"] for output in result["outputs"]] == [[4, 6], [4, 3]]
    assert result["operators"] == {"Add": 2, "Gather": 1, "Relu": 1, "MatMul": 1}
    assert np.load(tmp_path / "import" / "inputs.npz")["index"].max() < 8
    for level in (0, 4):
        lower(run, tmp_path / "import", tmp_path / f"lower{level}", level, target=QUICK)
        build(run, tmp_path / f"lower{level}", tmp_path / f"build{level}", target=QUICK)
        found = run(":run_artifact", artifact_dir=str(tmp_path / f"build{level}"), import_dir=str(tmp_path / "import"))
        assert found["difference"] < 1e-5


def test_a_constant_scalar_stays_a_scalar(run: Run, tmp_path: Path) -> None:
    """It was stored with one dimension, so that x[:, 0] became [1, 1, 3], and the reference did too."""
    index = helper.make_node("Constant", [], ["index"], value=numpy_helper.from_array(np.array(0)))
    nodes = [index, helper.make_node("Gather", ["x", "index"], ["y"], axis=1)]
    path = save(tmp_path / "net.onnx", nodes, [tensor("x", [1, 2, 3])], [tensor("y", [1, 3])])
    assert load(run, path, tmp_path / "import")["outputs"][0]["shape"] == [1, 3]
    inputs, reference = (np.load(tmp_path / "import" / f"{name}.npz") for name in ("inputs", "reference"))
    np.testing.assert_array_equal(reference["output_0"], inputs["x"][:, 0])


def test_an_output_without_a_name_shifts_no_other(run: Run, tmp_path: Path) -> None:
    """Of a folded node whose second output is unnamed, the third took the second's value."""
    unique = helper.make_node("Unique", ["c"], ["values", "", "inverse"], sorted=1)
    nodes = [unique, helper.make_node("Gather", ["x", "inverse"], ["y"])]
    weights = {"c": np.array([3, 1, 3, 2])}
    path = save(tmp_path / "net.onnx", nodes, [tensor("x", [4])], [tensor("y", [4])], weights)
    load(run, path, tmp_path / "import")
    inputs, reference = (np.load(tmp_path / "import" / f"{name}.npz") for name in ("inputs", "reference"))
    np.testing.assert_array_equal(reference["output_0"], inputs["x"][[2, 0, 2, 1]])


def test_a_rewritten_network_is_compared_and_leaves_the_file_to_other_runtimes(run: Run, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shapes = {"w": (1, 8, 3), "r": (1, 8, 2), "b": (1, 16)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    layer = helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "last"], hidden_size=2)
    path = save(tmp_path / "net.onnx", [layer], [tensor("x", [4, 1, 3])], [tensor("last", [1, 1, 2])], weights)
    result = load(run, path, tmp_path / "import")
    assert result["operators"] == {"LSTM": 1}
    found = result["rewriting"]
    assert (found["steps"], found["inputs"], found["not_compared"]) == (["recurrent"], 3, None)
    assert found["max_abs_diff"] < 1e-6
    assert [node.op_type for node in onnx.load(str(tmp_path / "import" / "model.onnx")).graph.node] == ["LSTM"]
    for level in (0, 4):
        lower(run, tmp_path / "import", tmp_path / f"lower{level}", level, target=QUICK)
        build(run, tmp_path / f"lower{level}", tmp_path / f"build{level}", target=QUICK)
        found = run(":run_artifact", artifact_dir=str(tmp_path / f"build{level}"), import_dir=str(tmp_path / "import"))
        assert found["difference"] < 1e-4


def test_a_resize_to_no_whole_size_keeps_its_scale(run: Run, tmp_path: Path) -> None:
    """TVM's importer takes 2 / 4 for 0.6, which was 0.1 away."""
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")
    weights = {"scales": np.array([1, 1, 0.6, 0.6], np.float32)}
    path = save(tmp_path / "net.onnx", [resize], [tensor("x", [1, 1, 4, 4])], [tensor("y", [1, 1, 2, 2])], weights)
    result = load(run, path, tmp_path / "import")
    assert (result["rewriting"]["steps"], result["rewriting"]["inputs"]) == ([], 3)
    lower(run, tmp_path / "import", tmp_path / "lower", 0, target=QUICK)
    build(run, tmp_path / "lower", tmp_path / "build", target=QUICK)
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(tmp_path / "import"))
    assert found["difference"] < 1e-5


def test_onnxruntime_fuses_no_quantised_operators_where_it_gives_the_expected_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Right code of a quantised segmentation network was 1.08 away from what it gave with the fusion."""
    import onnxruntime

    from sweep.toolchain.models.expected_output import run_onnxruntime

    given = []

    def session(model: str, options: Any, **more: Any) -> Any:
        given.append(options.get_session_config_entry("session.disable_quant_qdq"))
        return made(model, options, **more)

    made = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    run_onnxruntime(relu(tmp_path / "net.onnx", [3]), {"x": np.zeros(3, np.float32)})
    assert given == ["1"]


def test_batch_gives_every_input_its_first_dimension(run: Run, tmp_path: Path) -> None:
    result = load(run, network(tmp_path / "net.onnx"), tmp_path / "import", batch=5)
    assert [value["shape"] for value in result["inputs"].values()] == [[5, 6], [5]]
    assert (result["complexity"]["macs_dense"], result["complexity"]["nnz"]) == (5 * 6 * 3, 18)


def test_batch_on_a_network_that_holds_its_batch_in_reshapes(run: Run, tmp_path: Path) -> None:
    result = import_light(run, "shufflenet", tmp_path / "import", batch=2)
    assert result["inputs"]["gpu_0/data_0"]["shape"] == [2, 3, 224, 224]
    assert result["outputs"][0]["shape"] == [2, 1000]
    assert result["reference"] is True


def test_weights_outside_the_file(run: Run, tmp_path: Path) -> None:
    model = onnx.load(str(network(tmp_path / "net.onnx")))
    onnx.save_model(model, str(tmp_path / "ext.onnx"), save_as_external_data=True, location="ext.bin", size_threshold=0)
    assert load(run, tmp_path / "ext.onnx", tmp_path / "import", batch=2)["reference"] is True


def unsupported(path: Path) -> Path:
    nodes = [helper.make_node("StringNormalizer", ["x"], ["y"], name="tidy_up")]
    return save(path, nodes, [tensor("x", [3], TensorProto.STRING)], [tensor("y", [3], TensorProto.STRING)])


@pytest.mark.parametrize("parts", [[1, 1, 1], [1, 2]])
def test_what_is_no_number_is_expected_also_of_a_network_whose_values_cannot_be_seen(
    run: Run, tmp_path: Path, parts: list[int]
) -> None:
    """Parts of several sizes are no array: no run gives all values, and so nothing keeps NaN in the code."""
    nodes = [
        helper.make_node("Sqrt", ["x"], ["root"]),
        helper.make_node("SplitToSequence", ["root", "parts"], ["rows"]),
        helper.make_node("SequenceAt", ["rows", "first"], ["row"]),
        helper.make_node("Relu", ["row"], ["y"]),
    ]
    weights = {"parts": np.array(parts), "first": np.array(0)}
    path = save(tmp_path / "net.onnx", nodes, [tensor("x", [3, 40])], [tensor("y", [1, 40])], weights)
    result = load(run, path, tmp_path / "import")
    assert (result["reference"], result["reference_error"]) == (True, None)
    assert np.isnan(load_arrays(tmp_path / "import" / "reference.npz")["output_0"]).any()
    assert ("other than numbers" in result["rewriting"]["steps"]) == (len(parts) == 3)


def of_type(kind: int) -> Any:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    return lambda path: save(path, nodes, [tensor("x", [3], kind)], [tensor("y", [3], kind)])


def lacking(path: Path) -> Path:
    nodes = [helper.make_node("ImageDecoder", ["x"], ["y"], name="bent")]
    path = save(path, nodes, [tensor("x", [3], TensorProto.UINT8)], [tensor("y", [1, 1, 3], TensorProto.UINT8)])
    model = onnx.load(str(path))
    model.opset_import[0].version = 20
    onnx.save(model, str(path))
    return path


def of_inputs(path: Path) -> Path:
    """The length of a transform is an input."""
    nodes = [helper.make_node("DFT", ["x", "n"], ["y"], name="dft")]
    return save(path, nodes, [tensor("x", [1, 4, 1]), tensor("n", [], INT64)], [tensor("y", [1, "m", 2])])


def by_data(path: Path) -> Path:
    nodes = [helper.make_node("NonZero", ["x"], ["y"], name="where")]
    return save(path, nodes, [tensor("x", [3])], [tensor("y", [1, "n"], INT64)])


def of_integers(path: Path) -> Path:
    nodes = [helper.make_node("ReduceLogSumExp", ["x"], ["y"])]
    return save(path, nodes, [tensor("x", [3], INT64)], [tensor("y", [1], INT64)])


def without_rank(path: Path) -> Path:
    path = relu(path, [3])
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(path))
    return path


def fixed_inside(path: Path) -> Path:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"]), helper.make_node("Add", ["y", "one"], ["z"])]
    weights = {"shape": np.array([2, 3]), "one": np.ones((2, 3), np.float32)}
    return save(path, nodes, [tensor("x", [6])], [tensor("z", [2, 3])], weights)


def broken(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (lambda p: broken(p, b""), {}, "the file is empty"),
        (lambda p: broken(p, b"this is no network"), {}, "not an ONNX file, or a damaged one"),
        (lambda p: broken(p, light_model("squeezenet").read_bytes()[:9000]), {}, "not an ONNX file, or a damaged one"),
        (lambda p: p.with_name("absent.onnx"), {}, "no such file"),
        (unsupported, {}, "x is of type string: a network takes and gives float, float16, double"),
        (of_type(TensorProto.BFLOAT16), {}, "x is of type bfloat16: a network takes and gives"),
        (lacking, {}, "does not support: ImageDecoder (node bent)"),
        (of_inputs, {}, "does not support: DFT (node dft) where inputs of the network decide its shapes"),
        (by_data, {}, "the shape of what NonZero (node where) gives depends on data"),
        (of_integers, {}, "operator ReduceLogSumExp: relax.exp requires the input tensor to have float dtype"),
        (without_rank, {}, "input 'x' has no shape; give it in the study: inputs: {x: [...]}"),
        (
            lambda p: relu(p, [3, "n"]),
            {},
            "input 'x' has no value for dimension 1 (n); give the shape in the study: inputs: {x:",
        ),
        (
            lambda p: relu(p, [1, 3]),
            {"inputs": {"d": [1, 3]}},
            "no input is called 'd'; the network's inputs: x [1, 3]",
        ),
        (lambda p: relu(p, [1, 3]), {"inputs": {"x": [1, 3, 3]}}, "input x [1, 3] has 2 dimensions"),
        (lambda p: relu(p, []), {"batch": 2}, "batch 2: input x [] has no dimension"),
        (fixed_inside, {"batch": 4}, "batch 4 does not fit this network"),
        (fixed_inside, {"inputs": {"x": [7]}}, "contradict"),
    ],
)
def test_what_cannot_be_imported_says_why(
    run: Run, tmp_path: Path, make: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ImportFailed) as caught:
        load(run, make(tmp_path / "net.onnx"), tmp_path / "import", **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "import").exists()
    assert not list(tmp_path.glob(".import*"))


def test_a_network_onnxruntime_refuses_has_no_reference(run: Run, tmp_path: Path) -> None:
    nodes = [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]
    graph = helper.make_graph(nodes, "small", [tensor("x", [2, 3])], [tensor("y", [2, 3])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, str(tmp_path / "net.onnx"))
    result = load(run, tmp_path / "net.onnx", tmp_path / "import")
    assert result["reference"] is False
    assert result["reference_error"]


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_an_input_may_have_the_name_of_an_argument_of_numpy(run: Run, tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", [name], ["y"])], [tensor(name, [4])], [tensor("y", [4])])
    result = load(run, path, tmp_path)
    assert result["reference"] is True
    assert list(load_arrays(tmp_path / "inputs.npz")) == [name]
