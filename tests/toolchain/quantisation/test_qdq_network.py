"""Networks in QDQ form, compared with the float network and with ONNX Runtime's own integers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from sweep.errors import CalibrateFailed
from sweep.toolchain.models.expected_output import make_inputs, run_onnxruntime
from sweep.toolchain.models.onnx_types import input_types
from sweep.toolchain.quantisation.prepared_network import prepared
from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.quantisation.range_table import read_table, write_table
from tests.networks import write_tiny
from tests.toolchain.networks import write_branches
from tests.toolchain.quantisation.networks_with_ranges import Network, calibrated, options

STRATEGIES = ("minmax", "scale_shift", "symmetry_max")
WAYS = list(itertools.product(STRATEGIES, ("tensor", "channel")))


@pytest.fixture(scope="module", params=["tiny", "branches"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    path = tmp_path_factory.mktemp("qdq") / "network.onnx"
    (write_tiny if request.param == "tiny" else write_branches)(path)
    return calibrated(path)


def answer(model: Any, seed: int = 7) -> Any:
    return run_onnxruntime(model.SerializeToString(), make_inputs(input_types(model), seed))[0]


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(("strategy", "per"), WAYS)
def test_a_quantised_network_answers_nearly_as_the_float_one(network: Network, strategy: str, per: str) -> None:
    model, table = network
    expected, found = answer(model), answer(quantised(model, table, options(strategy, per)).model)
    cosine = float(np.vdot(expected, found) / np.linalg.norm(expected) / np.linalg.norm(found))
    assert 0.98 < cosine < 1 - 1e-12


@pytest.mark.parametrize(("strategy", "per"), WAYS)
def test_integers_of_onnx_runtime_are_within_a_step(network: Network, strategy: str, per: str) -> None:
    model, table = network
    made = quantised(model, table, options(strategy, per))
    exact = onnxruntime.SessionOptions()  # without VNNI its sums of uint8 by int8 are cut off at 16 bits else
    exact.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(made.model.SerializeToString(), exact, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, make_inputs(input_types(model), 7))
    name = model.graph.output[0].name
    step = float(np.max(made.parameters[name]["scale"])) if name in made.parameters else 1 / 255
    assert np.abs(found - answer(made.model)).max() <= 1.01 * step


def test_null_changes_nothing(network: Network) -> None:
    model, table = network
    made = quantised(model, table, options("null"))
    assert not made.quantised_nodes
    assert np.array_equal(answer(made.model), answer(model))


def test_every_scale_is_the_one_that_was_chosen(network: Network) -> None:
    model, table = network
    made = quantised(model, table, options("minmax", "tensor"))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer}
    compared = 0
    for name, told in made.parameters.items():
        if f"{name}_scale" in stored:
            compared += 1
            assert float(stored[f"{name}_scale"]) == pytest.approx(told["scale"])
            assert int(stored[f"{name}_zero_point"]) == told["zero_point"]
    assert compared >= 4


def test_operators_come_after_what_they_take(network: Network) -> None:
    model, table = network
    graph = quantised(model, table, options()).model.graph
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        assert known.issuperset(node.input)
        known.update(node.output)


def test_layers_that_are_named_stay_float(network: Network) -> None:
    model, table = network
    heavy = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    made = quantised(model, table, options(float32=[heavy[0].output[0], "no such layer*"], float32_last=True))
    assert {heavy[0].name, heavy[-1].name}.issubset(made.float_nodes)
    weights = {heavy[0].input[1], heavy[-1].input[1]}
    assert weights.issubset({tensor.name for tensor in made.model.graph.initializer})


def test_a_table_is_read_as_it_was_written(network: Network, tmp_path: Path) -> None:
    model, table = network
    write_table(table, model, tmp_path)
    again = read_table(tmp_path)
    assert again.activations.keys() == table.activations.keys()
    assert again.weights == table.weights
    for name, seen in table.activations.items():
        assert again.activations[name].low == pytest.approx(seen.low)
        assert np.array_equal(again.activations[name].histogram, seen.histogram)


def test_the_same_samples_give_the_same_table(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.onnx")
    (_, one), (_, other) = calibrated(tmp_path / "tiny.onnx"), calibrated(tmp_path / "tiny.onnx")
    assert {name: (seen.low, seen.high) for name, seen in one.activations.items()} == {
        name: (seen.low, seen.high) for name, seen in other.activations.items()
    }


def test_a_network_that_is_quantised_already_is_refused(network: Network, tmp_path: Path) -> None:
    model, table = network
    onnx.save(quantised(model, table, options()).model, str(tmp_path / "again.onnx"))
    with pytest.raises(CalibrateFailed, match="quantised already: it has DequantizeLinear, QuantizeLinear"):
        prepared(tmp_path / "again.onnx")


def test_an_old_network_is_raised_to_where_channels_have_scales(tmp_path: Path) -> None:
    """Of a file format that wanted initialisers among the inputs, as light models of the onnx package are."""
    old = onnx.load(str(write_tiny(tmp_path / "old.onnx")))
    expected = answer(old)
    old.opset_import[0].version, old.ir_version = 9, 3
    onnx.save(old, str(tmp_path / "old.onnx"))
    model = prepared(tmp_path / "old.onnx")
    assert {entry.domain: entry.version for entry in model.opset_import}[""] >= 13
    assert np.allclose(answer(model), expected)
