"""TFLite networks as graphs: what is stored sparse, in half precision or quantised counts as the network multiplies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sweep
from sweep.errors import StudyError
from tests.tflite_networks import Network, Quantised


def _written(path: Path, network: Network, inputs: list[int], outputs: list[int]) -> sweep.Inspection:
    path.write_bytes(network.written(inputs, outputs))
    return sweep.inspect(path)


@pytest.mark.parametrize(
    ("operator", "weight", "output", "macs"),
    [
        ("CONV_2D", (4, 3, 3, 2), (1, 6, 6, 4), 36 * 72),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 4), (1, 6, 6, 4), 36 * 36),
        ("FULLY_CONNECTED", (5, 8), (3, 5), 3 * 40),
        ("BATCH_MATMUL", (1, 2, 4, 5), (1, 2, 3, 5), 2 * 3 * 4 * 5),
    ],
)
def test_each_layer_has_its_products(tmp_path: Path, operator: str, weight, output, macs: int) -> None:
    network, values = Network(), np.ones(weight, "float32")
    values.ravel()[: values.size // 2] = 0
    shape = {"FULLY_CONNECTED": (3, 8), "BATCH_MATMUL": (1, 2, 3, 4)}.get(operator, (1, 6, 6, 2))
    source, held = network.tensor("data", shape), network.constant(values, "float32")
    result = network.tensor("result", output)
    network.operator(operator, [source, held], [result])
    found = _written(tmp_path / "net.tflite", network, [source], [result])
    cost = found.complexity
    assert (cost.macs_dense, cost.macs_sparse) == (macs, macs // 2)
    assert (cost.parameters, cost.sparsity) == (values.size, 0.5)
    assert found.lacking == {"tflite": []}
    assert found.graph.operators == {operator: 1}


def test_a_transposed_convolution_uses_each_weight_at_each_place_of_its_input(tmp_path: Path) -> None:
    network = Network()
    shape, held = network.constant([1, 8, 8, 3]), network.constant(np.ones((3, 2, 2, 4)), "float32")
    source, result = network.tensor("data", (1, 4, 4, 4)), network.tensor("result", (1, 8, 8, 3))
    network.operator("TRANSPOSE_CONV", [shape, held, source], [result])
    cost = _written(tmp_path / "net.tflite", network, [source], [result]).complexity
    assert (cost.macs_dense, cost.parameters) == (16 * 48, 48)  # the shape of the output is none


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    for zeros in (1, 3):
        network, values = Network(), np.ones((1, 8))
        values[0, :zeros] = 0
        source, held = network.tensor("data", (1, 8)), network.constant(values, "float32")
        result = network.tensor("y", (1, 1))
        network.operator("FULLY_CONNECTED", [source, held], [result])
        assert _written(tmp_path / "net.tflite", network, [source], [result]).complexity.nnz == 8 - zeros


def test_zero_of_quantised_weights_is_their_zero_point(tmp_path: Path) -> None:
    network = Network()
    held = network.constant(np.array([[3, 0], [3, 3]]), "int8", Quantised(0.1, 3))
    source, result = network.tensor("data", (1, 2), "int8", Quantised(0.1)), network.tensor("y", (1, 2), "int8")
    network.operator("FULLY_CONNECTED", [source, held], [result])
    cost = _written(tmp_path / "net.tflite", network, [source], [result]).complexity
    assert (cost.nnz, cost.macs_dense, cost.macs_sparse) == (1, 4, 1)


def test_weights_in_half_precision_are_the_layers(tmp_path: Path) -> None:
    network = Network()
    half = network.constant(np.array([[1, 0], [0, 0]]), "float16")
    source, result, whole = (network.tensor(name, (1, 2)) for name in ("data", "y", "weights"))
    network.tensors[whole][0] = np.asarray((2, 2), np.int32)
    network.operator("DEQUANTIZE", [half], [whole])
    network.operator("FULLY_CONNECTED", [source, whole], [result])
    cost = _written(tmp_path / "net.tflite", network, [source], [result]).complexity
    assert (cost.parameters, cost.nnz, cost.macs_dense, cost.macs_sparse) == (4, 1, 4, 1)


def test_what_the_importer_refuses_is_lacking(tmp_path: Path) -> None:
    network = Network()
    source, result = network.tensor("data", (1, 2)), network.tensor("y", (1, 2))
    network.operator("MakersOwn", [source], [result])
    found = _written(tmp_path / "net.tflite", network, [source], [result])
    assert found.lacking == {"tflite": ["CUSTOM:MakersOwn"]}
    with pytest.raises(StudyError, match="another shape than the file's"):
        sweep.inspect(tmp_path / "net.tflite", {"data": (2, 2)})


def test_an_open_size_is_a_note_and_no_number(tmp_path: Path) -> None:
    network, held = Network(), np.ones((5, 8), "float32")
    source = network.tensor("data", (1, 8), field_7=np.asarray((1, -1), np.int32))
    weight, result = network.constant(held, "float32"), network.tensor("y", (1, 5))
    network.operator("FULLY_CONNECTED", [source, weight], [result])
    found = _written(tmp_path / "net.tflite", network, [source], [result])
    assert found.graph.inputs[0].shape == (1, "?")
    assert (found.complexity.macs_dense, found.complexity.peak_activation_bytes) == (0, None)
    assert "open" in found.graph.notes[0]


def test_a_size_that_is_computed_is_a_note(tmp_path: Path) -> None:
    network = Network()
    source, middle, result = network.tensor("data", (1, 8)), network.tensor("m", (1, 1, 8)), network.tensor("y", (1, 5))
    network.tensors[middle][7] = np.array([1, -1, 8], np.int32)
    held = network.constant(np.ones((5, 8)), "float32")
    network.operator("RESHAPE", [source], [middle])
    network.operator("FULLY_CONNECTED", [middle, held], [result])
    found = _written(tmp_path / "net.tflite", network, [source], [result])
    assert found.complexity.macs_dense == 0
    assert "1 of the layers have sizes that the network computes as it runs" in found.graph.notes[0]
