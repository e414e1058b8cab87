"""Which dimension the batch axis sets, and which networks stay as their file has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import sweep
from sweep.errors import StudyError
from sweep.study import gate
from sweep.study.grid import cells
from sweep.study.importers.batch_dimension import BatchDimension, batch_dimension
from sweep.study.importers.importer import ModelInput, WrittenModel

WRITTEN = WrittenModel("net.onnx", Path("study.yaml"), "models[0].batch")


def of(asked: Any = None, shapes: dict[str, Any] | None = None, **declared: Any) -> BatchDimension:
    inputs = [ModelInput(name, None if shape is None else tuple(shape)) for name, shape in declared.items()]
    return batch_dimension(asked, inputs, shapes or {}, WRITTEN, "net")


@pytest.mark.parametrize(
    ("declared", "default", "listed"),
    [
        ({"x": [1, 3, 32, 32]}, (1,), (4, 8)),
        ({"x": ["N", 3, 32, 32]}, (1,), (4, 8)),
        ({"ids": ["N", 128], "mask": ["N", 128], "types": [1, 128]}, (1,), (4, 8)),
        ({}, (1,), (4, 8)),
        # Fixed inside, or no batch at all: as the file has it, unless somebody says otherwise
        ({"x": [8, 3, 32, 32]}, (None,), (4, 8)),
        ({"x": [3, 32, 32]}, (None,), (4, 8)),
        ({"points": [1024, 3]}, (None,), (4, 8)),
        # No batch can be put into these
        ({"x": [50, 1, 32]}, (None,), None),
        ({"image": [1, 3, 32, 32], "threshold": []}, (None,), None),
        ({"image": ["N", 3, 32, 32], "threshold": []}, (None,), None),
        ({"image": [1, 3, 32, 32], "scale": [2]}, (None,), None),
        ({"image": ["N", 3, 32, 32], "scale": [2]}, (None,), None),
        ({"one": [4, 2], "other": [5, 2]}, (None,), None),
        ({"any": None}, (None,), None),
    ],
)
def test_what_a_header_tells(declared: dict[str, Any], default: Any, listed: Any) -> None:
    found = of(**declared)
    assert found.values([1], is_listed=False) == default
    assert bool(found.refusal) is (listed is None)
    if listed:
        assert found.values(listed, is_listed=True) == listed


def test_a_shape_that_a_person_gives_goes_before_the_header() -> None:
    assert of(shapes={"x": (50, 1, 32)}, x=["T", 1, 32]).values([1], is_listed=False) == (None,)
    assert of(shapes={"x": (1, 3, 8, 8)}, x=["N", 3, "H", "W"]).values([1], is_listed=False) == (1,)


def test_a_person_names_the_dimension() -> None:
    named = of("B", x=["T", "B", 32], state=[2, "B", 64])
    assert named.named == {"x": (1,), "state": (1,)}
    assert named.options == {"batch_dims": {"x": [1], "state": [1]}}
    assert named.values([1, 4], is_listed=True) == (1, 4)
    assert (named.sets("x", 0), named.sets("x", 1)) == (False, True)
    fixed = of({"x": 1}, x=[50, 8, 32])
    assert fixed.values([1], is_listed=False) == (None,), "the file has 8"
    assert fixed.values([2], is_listed=True) == (2,)
    assert of("as-is", x=["N", 3]).values([1, 4], is_listed=True) == (None,)
    assert of(x=["N", 3]).options == {}, "no id changes where nobody says anything"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("M", "is no open dimension of the network; did you mean N? (got 'M'); allowed: N, as-is or {INPUT: INDEX}"),
        ({"y": 0}, "names no input of the network"),
        ({"x": 4}, "is no dimension of x: [N, 3] (got 4); allowed: 0 to 1"),
    ],
)
def test_what_is_no_dimension_is_refused(asked: Any, said: str) -> None:
    with pytest.raises(StudyError) as refused:
        of(asked, x=["N", 3])
    assert said.split(";")[0] in str(refused.value)
    assert "models[0].batch" in str(refused.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    networks: dict[str, dict[str, Any]] = {
        "scalar": {"x": [1, 4], "t": []},
        "fixed": {"x": [8, 4]},
        "usual": {"x": ["N", 4]},
    }
    for name, inputs in networks.items():
        declared = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()]
        node = helper.make_node("Sum", list(inputs), ["y"])
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph([node], name, declared, [output])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / f"{name}.onnx"))
    return tmp_path


def batches(folder: Path, text: str) -> list[tuple[str, int | None, str]]:
    (folder / "study.yaml").write_text("study: s\n" + text)
    found = cells(gate.load_study(folder / "study.yaml"), sweep.load_cluster())
    return [(cell.model, cell.batch, cell.runtime) for cell in found]


def test_each_model_has_its_batches(folder: Path) -> None:
    models = "models: [scalar.onnx, fixed.onnx, usual.onnx]\nruntimes: [tvm]\n"
    assert batches(folder, models) == [("scalar", None, "tvm"), ("fixed", None, "tvm"), ("usual", 1, "tvm")]
    with_axis = "models: [{path: scalar.onnx, batch: as-is}, fixed.onnx, usual.onnx]\naxes: {batch: [1, 4]}\n"
    told = batches(folder, with_axis + "exclude: [{model: fixed, batch: 4}]\n")
    assert [batch for model, batch, runtime in told if runtime == "tvm"] == [None, 1, 1, 4]
    assert [batch for model, batch, runtime in told if runtime != "tvm"] == [None, 1, 1, 4]


def test_a_batch_that_a_network_cannot_take_is_one_line(folder: Path) -> None:
    with pytest.raises(StudyError) as refused:
        batches(folder, "models: [usual.onnx, scalar.onnx]\naxes: {batch: [4]}\n")
    assert str(refused.value) == (
        f"{folder}/study.yaml:3: axes.batch: has no place that all inputs of scalar have (x: [1, 4], t: []) (got 4); "
        "allowed: no axes.batch; or, for this model, batch: NAME or {INPUT: INDEX} of the dimension that is one, or "
        "as-is"
    )


def test_a_rule_that_names_a_batch_leaves_those_without_alone(folder: Path) -> None:
    text = "models: [fixed.onnx, usual.onnx]\nruntimes: [tvm]\ninclude: [{batch: 4}]\n"
    assert batches(folder, text) == [("fixed", None, "tvm"), ("usual", 1, "tvm"), ("usual", 4, "tvm")]
    with pytest.raises(StudyError, match="matches no cell"):
        batches(folder, "models: [fixed.onnx]\nruntimes: [tvm]\ninclude: [{batch: 4}]\n")


def test_the_cell_says_no_batch(folder: Path) -> None:
    (folder / "study.yaml").write_text("study: s\nmodels: [fixed.onnx]\nruntimes: [tvm]\n")
    [cell] = cells(gate.load_study(folder / "study.yaml"), sweep.load_cluster())
    assert cell.name == "fixed native none O3 here"
    assert type(cell).from_json(cell.to_json()) == cell
