"""What files have beside what the onnx package checks: sparse tensors, the name of ONNX's own domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sweep.errors import ImportFailed
from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.models.onnx_checks import check_types, read_onnx

X = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])]
Y = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
SPARSE = np.float32([[0, 1.5, 0, 0], [0, -2, 0, 0], [0, 0, 0, 0]])


def sparse(*, of_places: bool = False, name: str = "w", shape: tuple[int, ...] = SPARSE.shape) -> Any:
    places = np.array([[0, 1], [1, 1]]) if of_places else np.array([1, 5])
    values = numpy_helper.from_array(np.float32([1.5, -2]), name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(places, "at"), list(shape))


def saved(path: Path, nodes: list[Any], stored: Any = None, opset: int = 17, domain: str = "") -> Path:
    graph = helper.make_graph(nodes, "g", X, Y)
    graph.sparse_initializer.extend([] if stored is None else [stored])
    opsets = [helper.make_opsetid(domain, opset)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize("of_places", [False, True])
def test_a_sparse_weight_is_the_dense_one_that_it_stands_for(tmp_path: Path, of_places: bool) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    read = read_onnx(saved(tmp_path / "w.onnx", nodes, sparse(of_places=of_places)))
    assert not read.graph.sparse_initializer
    np.testing.assert_array_equal(numpy_helper.to_array(read.graph.initializer[0]), SPARSE)


def test_a_sparse_constant_is_a_dense_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], sparse_value=sparse(name="")),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    read = read_onnx(saved(tmp_path / "c.onnx", nodes))
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    [found] = ReferenceEvaluator(read).run(None, {"x": x})
    np.testing.assert_array_equal(found, x @ SPARSE)


def test_a_sparse_tensor_of_terabytes_is_not_made(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = saved(tmp_path / "huge.onnx", nodes, sparse(shape=(1 << 20, 1 << 20)))
    with pytest.raises(ImportFailed, match=r"'w' of the shape \[1048576, 1048576\] does not fit into memory"):
        read_onnx(path)


def test_a_sparse_tensor_of_texts_is_refused_by_name(tmp_path: Path) -> None:
    stored = sparse()
    stored.values.CopyFrom(helper.make_tensor("w", TensorProto.STRING, [2], ["a", "b"]))
    path = saved(tmp_path / "t.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], stored)
    with pytest.raises(ImportFailed, match="the sparse tensor 'w' holds texts"):
        read_onnx(path)


@pytest.mark.parametrize("imported", ["", "ai.onnx"])
def test_operators_of_onnx_may_have_its_name_for_a_domain(tmp_path: Path, imported: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx")]
    read = read_onnx(saved(tmp_path / "d.onnx", nodes, domain=imported))
    assert [one.domain for one in (*read.graph.node, *read.opset_import)] == ["", ""]


def test_outputs_at_the_end_that_nobody_wants_are_none(tmp_path: Path) -> None:
    """Code for a batch norm with four of them, of opset 9, ended the process."""
    read = read_onnx(saved(tmp_path / "o.onnx", [helper.make_node("Dropout", ["x"], ["y", ""])], opset=10))
    assert list(read.graph.node[0].output) == ["y"]


def test_an_operator_that_onnx_has_withdrawn_is_read(tmp_path: Path) -> None:
    """ONNX Runtime runs the group normalisation of opset 18."""
    stored = numpy_helper.from_array(np.ones(3, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["g"], value=stored),
        helper.make_node("GroupNormalization", ["x", "g", "g"], ["y"], num_groups=3),
    ]
    assert len(read_onnx(saved(tmp_path / "g.onnx", nodes, opset=18)).graph.node) == 2


@pytest.mark.parametrize(("operator", "opset"), [("LayerNormalization", 11), ("SimplifiedLayerNormalization", 17)])
def test_what_onnxruntime_has_among_operators_of_onnx_is_no_damage(tmp_path: Path, operator: str, opset: int) -> None:
    nodes = [
        helper.make_node("Constant", [], ["g"], value=numpy_helper.from_array(np.ones(3, np.float32))),
        helper.make_node(operator, ["x", "g"], ["y"]),
    ]
    read = read_onnx(saved(tmp_path / "l.onnx", nodes, opset=opset))
    assert [(one.op_type, one.domain) for one in read.graph.node][1] == (operator, "")
    assert [one.domain for one in read.opset_import] == [""]


def test_another_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "u.onnx", [helper.make_node("Nonsense", ["x"], ["y"])])
    with pytest.raises(ImportFailed, match="the network is invalid: No Op registered for Nonsense"):
        read_onnx(path)


SEQUENCES = {
    "made": [helper.make_node("SequenceConstruct", ["x", "t"], ["y"])],
    "grown": [
        helper.make_node("SequenceConstruct", ["t"], ["one"]),
        helper.make_node("SequenceInsert", ["one", "x"], ["two"]),
        helper.make_node("SequenceErase", ["two", "first"], ["less"]),
        helper.make_node("SequenceInsert", ["less", "t"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_an_output_that_is_a_sequence_gives_its_tensors(tmp_path: Path, name: str) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("Constant", [], ["first"], value=numpy_helper.from_array(np.array(0))),
        *SEQUENCES[name],
        helper.make_node("Relu", ["x"], ["y_1"]),
    ]
    path = saved(tmp_path / "s.onnx", nodes)
    written = onnx.load(str(path))
    written.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    written.graph.output.append(helper.make_tensor_value_info("y_1", TensorProto.FLOAT, None))
    onnx.save(written, str(path))

    read = read_onnx(path)
    check_types(read)
    x = np.float32([[1, -2, 3], [4, 5, 6]])
    assert [output.name for output in read.graph.output] == ["y_0", "y_1_", "y_1"], "names that are taken are not given"
    for found, wanted in zip(ReferenceEvaluator(read).run(None, {"x": x}), (x, x.T, x.clip(0)), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_probabilities_by_class_are_a_matrix(tmp_path: Path) -> None:
    learned = {"classlabels_ints": [3, 5], "coefficients": [1.0, -2.0, 0.5, 0.1, 0.2, 0.3], "intercepts": [0.1, 0.2]}
    nodes = [
        helper.make_node("LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", **learned),
        helper.make_node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[3, 5]),
    ]
    path = saved(tmp_path / "z.onnx", nodes)
    written = onnx.load(str(path))
    written.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    by_class = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    written.graph.output[0].CopyFrom(helper.make_value_info("y", helper.make_sequence_type_proto(by_class)))
    onnx.save(written, str(path))

    read = read_onnx(path)
    check_types(read)
    x = np.float32([[1, -2, 3], [4, 5, 6]])
    [rows] = run_onnxruntime(path, {"x": x})
    [found] = run_onnxruntime(read.SerializeToString(), {"x": x})
    np.testing.assert_array_equal(found, np.float32([[row[3], row[5]] for row in rows]))


def test_a_sequence_of_which_data_decide_is_refused_by_its_kind(tmp_path: Path) -> None:
    path = saved(tmp_path / "s.onnx", [helper.make_node("SplitToSequence", ["x"], ["y"])])
    written = onnx.load(str(path))
    written.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None))
    onnx.save(written, str(path))
    with pytest.raises(ImportFailed, match="y is of the kind sequence: a compiled network takes and gives tensors"):
        check_types(read_onnx(path))


def _taking(path: Path, place: int, *more: Any) -> Path:
    nodes = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array(place))),
        helper.make_node("SequenceAt", ["x", "k"], ["e"]),
        *more,
        helper.make_node("Relu", ["e"], ["y"]),
    ]
    saved(path, nodes)
    written = onnx.load(str(path))
    written.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [2, 3]))
    onnx.save(written, str(path))
    return path


def test_an_input_that_is_a_sequence_takes_the_tensors_that_are_taken_out(tmp_path: Path) -> None:
    read = read_onnx(_taking(tmp_path / "s.onnx", 1))
    check_types(read)
    [taken] = read.graph.input
    assert (taken.name, [one.dim_value for one in taken.type.tensor_type.shape.dim]) == ("x_1", [2, 3])
    x = np.float32([[1, -2, 3], [4, 5, 6]])
    [found] = ReferenceEvaluator(read).run(None, {"x_1": x})
    np.testing.assert_array_equal(found, x.clip(0))


@pytest.mark.parametrize(("place", "more"), [(-1, []), (0, [helper.make_node("SequenceLength", ["x"], ["n"])])])
def test_an_input_of_which_the_length_counts_is_refused_by_its_kind(
    tmp_path: Path, place: int, more: list[Any]
) -> None:
    with pytest.raises(ImportFailed, match="x is of the kind sequence: a compiled network takes and gives tensors"):
        check_types(read_onnx(_taking(tmp_path / "s.onnx", place, *more)))
