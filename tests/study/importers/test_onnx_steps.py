"""Which steps of rewriting a file asks for, told without the onnx package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.study.importers.onnx_outline import OutlineNode, outline_of
from sweep.study.importers.onnx_steps import steps_of
from sweep.study.importers.protobuf_scan import fields
from sweep.study.model_file import read_model


def write(path: Path, nodes: list[Any], opset: int = 17, functions: list[Any] = []) -> Path:  # noqa: B006
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("other", 99)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=functions), str(path))
    return path


def constant(**value: Any) -> Any:
    return helper.make_node("Constant", [], ["c"], **value)


def stored(array: Any) -> Any:
    return numpy_helper.from_array(np.array(array))


ADD, RELU = helper.make_node("Add", ["x", "c"], ["y"]), helper.make_node("Relu", ["x"], ["y"])
INNER = helper.make_graph([constant(value=stored(1.0))], "b", [], [helper.make_tensor_value_info("c", 1, [])])

CASES: dict[str, tuple[list[Any], list[str]]] = {
    "nothing": ([RELU], []),
    "constant scalar": ([constant(value=stored(1.0)), ADD], ["scalars"]),
    "constant scalar, short form": ([constant(value_int=3), ADD], ["scalars"]),
    "constant of one dimension": ([constant(value=stored([1.0])), ADD], []),
    "recurrent": ([helper.make_node("LSTM", ["x", "w", "r"], ["y"])], ["recurrent"]),
    "sequence": ([helper.make_node("SequenceAt", ["x", "c"], ["y"])], ["sequences"]),
    "quantised": ([helper.make_node("QGemm", ["x"], ["y"], domain="com.microsoft")], ["quantised"]),
    "inside a branch": (
        [helper.make_node("If", ["x"], ["y"], then_branch=INNER, else_branch=INNER)],
        ["scalars", "control flow"],
    ),
    "usual resize": ([helper.make_node("Resize", ["x"], ["y"], mode="linear")], []),
    "other resize": ([helper.make_node("Resize", ["x"], ["y"], mode="cubic")], ["other operators"]),
    "layer norm": ([helper.make_node("LayerNormalization", ["x", "c"], ["y"])], []),
    "layer norm and its mean": ([helper.make_node("LayerNormalization", ["x", "c"], ["y", "m"])], ["other operators"]),
    "shape": ([helper.make_node("Shape", ["x"], ["y"])], ["shapes"]),
    "masked rows": (
        [
            helper.make_node("Where", ["c", "x", "x"], ["m"]),
            helper.make_node("ReduceMax", ["m"], ["y"]),
        ],
        ["masked rows"],
    ),
    "maximum of a row": ([helper.make_node("ReduceMax", ["x"], ["y"])], []),
    "list": ([constant(value_floats=[1.0]), ADD], []),
}


@pytest.mark.parametrize(("nodes", "steps"), CASES.values(), ids=list(CASES))
def test_steps_of_a_file(tmp_path: Path, nodes: list[Any], steps: list[str]) -> None:
    assert steps_of(write(tmp_path / "net.onnx", nodes)) == steps
    options = read_model("net.onnx", tmp_path / "s.yaml", "models[0]").options
    codes = {"quantised": "integers"} if "quantised" in steps else {}  # they were floats in earlier versions
    assert options == {"weights": "as-is", **({"rewriting": steps} if steps else {}), **codes}


def test_functions_and_old_operators_are_told(tmp_path: Path) -> None:
    own = helper.make_function("other", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [])
    called = helper.make_node("F", ["x"], ["y"], domain="other")
    assert steps_of(write(tmp_path / "net.onnx", [called], functions=[own])) == ["functions"]
    assert steps_of(write(tmp_path / "net.onnx", [RELU], opset=6)) == ["old operators"]
    upsample = helper.make_node("Upsample", ["x", "c"], ["y"])
    assert steps_of(write(tmp_path / "net.onnx", [upsample], opset=9)) == ["old operators"]
    masked = helper.make_node("Dropout", ["x"], ["y", "mask"])
    assert steps_of(write(tmp_path / "net.onnx", [masked], opset=9)) == []
    assert steps_of(write(tmp_path / "net.onnx", [masked], opset=10)) == ["other operators"]


def test_weights_and_inputs_of_16_bits_are_told(tmp_path: Path) -> None:
    for kind, weight, halves in ((10, np.float32, True), (1, np.float16, True), (1, np.float32, False)):
        tensors = [stored(np.zeros(4, np.float32)), numpy_helper.from_array(np.zeros(4, weight), "c")]
        x, y = helper.make_tensor_value_info("x", kind, [4]), helper.make_tensor_value_info("y", 1, [4])
        graph = helper.make_graph([RELU], "g", [x], [y], tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "net.onnx")
        assert steps_of(tmp_path / "net.onnx") == (["sums of halves"] if halves else [])


def test_an_outline_says_what_the_onnx_package_says(tmp_path: Path) -> None:
    branch = helper.make_node("If", ["x"], ["y"], then_branch=INNER, else_branch=INNER)
    pad = helper.make_node("Pad", ["x"], ["p", "", "q"], mode="reflect", axis=-1, domain="com.microsoft")
    outline = outline_of(write(tmp_path / "net.onnx", [branch, pad], opset=9))
    assert outline is not None
    assert outline.opset == 9
    assert not outline.has_functions
    inner = OutlineNode("Constant", 0, 1, {"value": 0})
    named = {"mode": "reflect", "axis": 2**64 - 1}
    assert outline.nodes == (
        inner,
        inner,
        OutlineNode("If", 1, 1, {"then_branch": 0, "else_branch": 0}),
        OutlineNode("com.microsoft.Pad", 1, 2, named),
    )


def test_no_network_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"this is no network")
    assert steps_of(tmp_path / "net.onnx") == []
    whole = write(tmp_path / "whole.onnx", [constant(value=stored(1.0)), ADD]).read_bytes()
    (tmp_path / "net.onnx").write_bytes(whole[: len(whole) // 2])
    assert steps_of(tmp_path / "net.onnx") == []


@pytest.mark.parametrize("name", ["squeezenet", "densenet121", "bvlc_alexnet", "shufflenet", "inception_v2"])
def test_the_networks_of_the_onnx_package_are_imported_as_ever(name: str) -> None:
    assert steps_of(Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx") == []


def test_a_network_of_codes_has_an_option_that_says_so(tmp_path: Path) -> None:
    """Earlier versions computed it in floats."""
    write(tmp_path / "net.onnx", [helper.make_node("DequantizeLinear", ["x", "c"], ["y"])])
    assert read_model("net.onnx", tmp_path / "s.yaml", "models[0]").options == {
        "weights": "as-is",
        "quantised": "integers",
    }


@pytest.mark.parametrize("values", [[1] * 5000, [0.5] * 5000, ["BRANCH_LEQ"] * 5000], ids=["ints", "floats", "texts"])
def test_a_list_of_an_attribute_is_not_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any]
) -> None:
    """Trees have such lists of millions, with a field for each value."""
    read = []

    def counted(*span: Any) -> Any:
        for field in fields(*span):
            read.append(field)
            yield field

    monkeypatch.setattr("sweep.study.importers.onnx_outline.fields", counted)
    trees = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", values=values, last=3)
    outline = outline_of(write(tmp_path / "net.onnx", [trees]))
    assert outline is not None
    assert outline.nodes == (OutlineNode("ai.onnx.ml.TreeEnsemble", 1, 1, {"values": 0, "last": 3}),)
    assert len(read) < 100
