"""The values that a person gives for inputs: taken into ids where they are given, and refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import sweep
from sweep.api.commands.submit import pack
from sweep.errors import StudyError
from sweep.study import gate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of two rows, as BERT's token types, looked up by an input, beside bytes and a boolean."""
    table = numpy_helper.from_array(np.ones((2, 4), "float32"), "table")
    kinds = {"types": (TensorProto.INT64, ["N", 3]), "on": (TensorProto.BOOL, [1]), "small": (TensorProto.UINT8, [2])}
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in kinds.items()]
    nodes = [helper.make_node("Gather", ["table", "types"], ["y"])]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", inputs, [output], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / "net.onnx"))
    np.savez(tmp_path / "a.npz", types=np.ones((1, 3), "int64"), wide=np.ones((1, 4), "int64"), f=np.ones((1, 3)))
    (tmp_path / "text.npz").write_text("no archive")
    return tmp_path


def load(folder: Path, inputs: str) -> Any:
    (folder / "study.yaml").write_text(
        f"study: s\nmodels:\n  - path: net.onnx\n    batch: as-is\n    inputs: {inputs}\n"
    )
    return gate.load_study(folder / "study.yaml").models[0]


def import_id(folder: Path, inputs: str) -> str:
    load(folder, inputs)
    plan = sweep.plan(sweep.load_study(folder / "study.yaml"), sweep.load_cluster())
    return next(stage.id for stage in plan.stages.values() if stage.kind == "import")


@pytest.mark.parametrize(
    ("inputs", "values", "shapes"),
    [
        ("{types: {range: [0, 2]}}", {"types": {"range": [0, 2]}}, {}),
        ("{types: {range: [0, 2], shape: [1, 3]}}", {"types": {"range": [0, 2]}}, {"types": (1, 3)}),
        ("{types: {fill: zeros}}", {"types": {"fill": "zeros"}}, {}),
        ("{types: {shape: [1, 3]}, small: [2]}", {}, {"types": (1, 3)}),
        ("{on: {fill: ones}}", {"on": {"fill": "ones"}}, {}),
    ],
)
def test_what_may_be_said(folder: Path, inputs: str, values: Any, shapes: Any) -> None:
    model = load(folder, inputs)
    assert {name: one.values for name, one in model.given.items()} == values
    assert model.inputs == shapes


@pytest.mark.parametrize("is_sequence", [True, False])
def test_a_sequence_has_no_shape_to_be_told_and_a_tensor_of_no_rank_has(folder: Path, is_sequence: bool) -> None:
    make = helper.make_tensor_sequence_value_info if is_sequence else helper.make_tensor_value_info
    nodes = [helper.make_node("SequenceAt" if is_sequence else "Add", ["s", "k"], ["y"])]
    stored = [numpy_helper.from_array(np.array(0), "k")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [make("s", TensorProto.FLOAT, None)], [output], stored)
    (folder / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    if is_sequence:
        assert not load(folder, "{}").inputs
    else:
        with pytest.raises(StudyError, match="does not tell the shape of its input 's'"):
            load(folder, "{}")


def test_an_array_has_its_shape_and_its_hash(folder: Path) -> None:
    model = load(folder, "{types: {npz: a.npz}}")
    assert model.given["types"].file == folder / "a.npz"
    assert set(model.given["types"].values) == {"npz"}
    assert model.inputs == {"types": (1, 3)}


def test_values_are_part_of_the_id_where_they_are_given(folder: Path) -> None:
    usual = import_id(folder, "{types: {shape: [1, 3]}}")
    assert import_id(folder, "{types: [1, 3]}") == usual
    given = import_id(folder, "{types: {npz: a.npz}}")
    others = {import_id(folder, "{types: {range: [0, 2]}}"), import_id(folder, "{types: {fill: zeros}}")}
    assert len({usual, given, *others}) == 4
    np.savez(folder / "a.npz", types=np.zeros((1, 3), "int64"))
    assert import_id(folder, "{types: {npz: a.npz}}") not in {usual, given, *others}, "another array is another input"


@pytest.mark.parametrize(
    ("inputs", "key", "problem", "allowed"),
    [
        ("{type: {fill: zeros}}", "inputs.type", "is no input of the network", "types"),
        ("{types: {fill: sevens}}", "inputs.types.fill", "'sevens'", "zeros"),
        ("{types: {fill: zeros, range: [0, 1]}}", "inputs.types.fill", "says what range says", "one of npz, range"),
        ("{types: {range: [2, 2]}}", "inputs.types.range", "is no range", "[FROM, TO]"),
        ("{types: {range: [0, 1.5]}}", "inputs.types.range", "does not fit int64", "whole numbers"),
        ("{types: {range: [0]}}", "inputs.types.range", "", ""),
        ("{small: {range: [0, 300]}}", "inputs.small.range", "does not fit uint8", "from 0 to 256"),
        ("{small: {range: [-1, 3]}}", "inputs.small.range", "does not fit uint8", "from 0 to 256"),
        ("{on: {range: [0, 2]}}", "inputs.on.range", "boolean", "fill"),
        ("{types: {}}", "inputs.types", "says nothing of the input", "shape, npz, array, range, fill"),
        ("{types: {npz: none.npz}}", "inputs.types.npz", "cannot be read: No such file", "none.npz"),
        ("{types: {npz: text.npz}}", "inputs.types.npz", "is no .npz file", "numpy.savez"),
        ("{types: {npz: a.npz, array: typ}}", "inputs.types.npz", "has no array 'typ'", "types"),
        ("{types: {npz: a.npz, array: f}}", "inputs.types.npz", "as float64", "int64"),
        ("{types: {npz: a.npz, array: wide}}", "inputs.types.npz", "of shape [1, 4]", "[N, 3]"),
        ("{types: {npz: a.npz, shape: [1, 3]}}", "inputs.types.shape", "an array has its shape", "one"),
        ("{types: {array: f}}", "inputs.types.array", "names an array of no file", "npz: FILE"),
        ("{types: [1, 3, 1]}", "inputs.types", "wrong number of dimensions", "types: [N, 3]"),
    ],
)
def test_a_slip_is_one_line(folder: Path, inputs: str, key: str, problem: str, allowed: str) -> None:
    with pytest.raises(StudyError) as refused:
        load(folder, inputs)
    told = str(refused.value)
    assert "\n" not in told
    assert "study.yaml" in told
    assert f"models[0].{key}" in told
    assert problem in told
    assert allowed in told


def test_a_job_carries_the_arrays(folder: Path, tmp_path: Path) -> None:
    here = folder / "studies"
    here.mkdir()
    (here / "cluster.yaml").write_text("{name: far, engine: ray, devices: [{key: board, cores: [900], threads: 1}]}")
    (here / "study.yaml").write_text(
        "study: s\nmodels: [{path: ../net.onnx, batch: as-is, inputs: {types: {npz: ../a.npz}}}]\n"
    )
    job = tmp_path / "job"
    job.mkdir()
    there, _ = pack(here / "study.yaml", here / "cluster.yaml", job)
    assert there.models[0].given["types"].values == gate.load_study(here / "study.yaml").models[0].given["types"].values
    assert there.models[0].given["types"].file == job / "models-of-the-job/0/input-0/a.npz"
