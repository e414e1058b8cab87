"""Networks put together in ways that no textbook shows: what has a scale, what stays float, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.errors import CalibrateFailed
from sweep.study.calibration_table import content_of
from sweep.toolchain.quantisation.calibration_samples import RandomSamples
from sweep.toolchain.quantisation.layer_distances import distances
from sweep.toolchain.quantisation.prepared_network import prepared, session_of
from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.quantisation.range_table import RangeTable, observe, write_table
from sweep.toolchain.quantisation.saved_table import take_saved_table
from tests.toolchain.quantisation.networks_with_ranges import options

NODE = helper.make_node
IMAGE, MATRIX = [1, 3, 8, 8], [6, 6]


def _weight(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _calibrated(
    folder: Path, nodes: Sequence[Any], constants: dict[str, Any], shape: list[int]
) -> tuple[Any, RangeTable, list[dict[str, Any]]]:
    """From x to y: the prepared network, its table, and the batches that it was observed on."""
    stored = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "net", [x], [y], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(folder / "net.onnx"))
    model = prepared(folder / "net.onnx")
    seen = RandomSamples(model, {"samples": 8, "seed": 0}, {})
    return model, observe(model, seen, seen.samples, seen.source), list(seen)


def _off(model: Any, made: Any, batches: Sequence[dict[str, Any]]) -> float:
    """The largest difference, as a share of the largest value."""
    one, other = session_of(model.SerializeToString()), session_of(made.SerializeToString())
    pairs = [(one.run(None, batch)[0], other.run(None, batch)[0]) for batch in batches]
    return float(max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(a).max() for a, _ in pairs))


ONE_SCALE = {
    "grouped transposed convolution": ([NODE("ConvTranspose", ["x", "w"], ["y"], group=3)], _weight(3, 5, 2, 2), IMAGE),
    "the first operand": ([NODE("MatMul", ["w", "x"], ["y"])], _weight(4, 6), MATRIX),
    "the first operand of a Gemm": ([NODE("Gemm", ["w", "x"], ["y"], transB=1)], _weight(4, 6), MATRIX),
    "rows of one, columns of another": (
        [NODE("Gemm", ["x", "w"], ["a"]), NODE("Gemm", ["a", "w"], ["y"], transB=1)],
        _weight(6, 4),
        MATRIX,
    ),
    "weight and addend": ([NODE("MatMul", ["x", "w"], ["a"]), NODE("Add", ["a", "w"], ["y"])], _weight(6, 6), MATRIX),
}


@pytest.mark.parametrize("what", ONE_SCALE)
@pytest.mark.parametrize("strategy", ["symmetry_max", "minmax"])
def test_a_weight_without_channels_of_its_own_has_one_scale(tmp_path: Path, what: str, strategy: str) -> None:
    nodes, weight, shape = ONE_SCALE[what]
    model, table, batches = _calibrated(tmp_path, nodes, {"w": weight}, shape)
    found = quantised(model, table, options(strategy))
    assert "axis" not in found.parameters["w"]
    scales = [numpy_helper.to_array(one) for one in found.model.graph.initializer if one.name == "w_scale"]
    assert [scale.shape for scale in scales] == [()]
    assert _off(model, found.model, batches) < 0.05


def test_a_weight_that_all_take_alike_has_a_scale_a_channel(tmp_path: Path) -> None:
    nodes = [NODE("MatMul", ["x", "w"], ["a"]), NODE("MatMul", ["a", "w"], ["y"])]
    model, table, _ = _calibrated(tmp_path, nodes, {"w": _weight(6, 6)}, MATRIX)
    assert quantised(model, table, options()).parameters["w"]["axis"] == 1


@pytest.mark.parametrize("strategy", ["symmetry_max", "minmax", "scale_shift"])
@pytest.mark.parametrize("ends", [(5.0, 9.0), (-9.0, -5.0), (-1.0, 1.0), (0.0, 6.0)])
def test_what_cuts_beyond_zero_still_cuts(tmp_path: Path, ends: tuple[float, float], strategy: str) -> None:
    nodes = [NODE("Conv", ["x", "w"], ["c"]), NODE("Clip", ["c", "low", "high"], ["y"])]
    constants = {"w": _weight(4, 3, 3, 3), "low": np.float32(ends[0]), "high": np.float32(ends[1])}
    model, table, batches = _calibrated(tmp_path, nodes, constants, IMAGE)
    found = quantised(model, table, options(strategy))
    session = session_of(found.model.SerializeToString())
    step = found.parameters["y"]["scale"]
    for batch in batches:
        (y,) = session.run(None, batch)
        assert y.min() >= ends[0] - step
        assert y.max() <= ends[1] + step


def test_whole_numbers_are_neither_quantised_nor_compared(tmp_path: Path) -> None:
    nodes = [
        NODE("Cast", ["x"], ["i"], to=TensorProto.INT32),
        NODE("Add", ["i", "i"], ["j"]),
        NODE("Cast", ["j"], ["f"], to=TensorProto.FLOAT),
        NODE("MatMul", ["f", "w"], ["y"]),
    ]
    model, table, batches = _calibrated(tmp_path, nodes, {"w": _weight(6, 4)}, MATRIX)
    found = quantised(model, table, options())
    assert [node.op_type for node in model.graph.node if node.name in found.quantised_nodes] == ["MatMul"]
    assert found.float_nodes == []
    assert [row["operator"] for row in distances(model, table, options(), batches)] == ["MatMul"]


@pytest.mark.parametrize("names", [("twin", "twin"), ("Conv_1", ""), ("", "Conv_0")])
def test_every_operator_gets_a_name_of_its_own(tmp_path: Path, names: tuple[str, str]) -> None:
    nodes = [
        NODE("Conv", ["x", "w"], ["c"], name=names[0]),
        NODE("Conv", ["c", "v"], ["y"], name=names[1]),
    ]
    model, table, batches = _calibrated(tmp_path, nodes, {"w": _weight(3, 3, 3, 3), "v": _weight(2, 3, 3, 3)}, IMAGE)
    own = [node.name for node in model.graph.node]
    assert len(set(own)) == 2
    assert quantised(model, table, options()).quantised_nodes == own
    assert len(distances(model, table, options(), batches)) == 2


PADDED = [
    NODE("Pad", ["x", "sides", "nothing"], ["p"]),
    NODE("MaxPool", ["p"], ["m"], kernel_shape=[3, 3]),
    NODE("Conv", ["m", "w"], ["y"]),
]
PADS = {"sides": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "nothing": np.float32(-np.inf), "w": _weight(4, 3, 3, 3)}


@pytest.mark.parametrize("strategy", ["symmetry_max", "minmax", "scale_shift"])
def test_what_pads_with_infinity_stays_float(tmp_path: Path, strategy: str) -> None:
    model, table, batches = _calibrated(tmp_path, PADDED, PADS, IMAGE)
    assert list(table.unbounded) == ["p"]
    found = quantised(model, table, options(strategy))
    by_name = {node.name: node.op_type for node in model.graph.node}
    assert [by_name[name] for name in found.quantised_nodes] == ["Conv"]
    assert {by_name[name] for name in found.float_nodes} == {"Pad", "MaxPool"}
    assert _off(model, found.model, batches) < 0.1
    (tmp_path / "saved").mkdir()
    write_table(table, model, tmp_path / "saved")
    ranges = tmp_path / "saved" / "ranges.json"
    again = take_saved_table(ranges, content_of(ranges), model, tmp_path)
    assert quantised(model, again, options(strategy)).parameters == found.parameters


def test_an_infinite_mask_has_no_part_in_distances(tmp_path: Path) -> None:
    nodes = [NODE("MatMul", ["x", "w"], ["a"]), NODE("Add", ["a", "mask"], ["b"]), NODE("Softmax", ["b"], ["y"])]
    mask = np.where(np.arange(6) == 2, -np.inf, 0).astype(np.float32)
    model, table, batches = _calibrated(tmp_path, nodes, {"w": _weight(6, 6), "mask": mask}, MATRIX)
    rows = distances(model, table, options(), batches)
    told = [value for row in rows for key, value in row.items() if key.endswith("_distance")]
    assert told
    assert all(np.isfinite(told))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_not_finite_is_no_calibration(tmp_path: Path, value: float) -> None:
    model, _, batches = _calibrated(tmp_path, [NODE("MatMul", ["x", "w"], ["y"])], {"w": _weight(6, 4)}, MATRIX)
    broken = {"x": batches[0]["x"].copy()}
    broken["x"][1, 2] = value
    with pytest.raises(CalibrateFailed, match="the tensor x is not finite on a sample of mine: it has no range"):
        observe(model, [batches[0], broken], 2, "mine")
