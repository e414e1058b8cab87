"""What the table of a calibration counts, and what layers are compared on: each sample once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.study.gate import study_of
from sweep.toolchain.quantisation.calibration_samples import DatasetSamples
from sweep.toolchain.quantisation.layer_job import compare_layers
from sweep.toolchain.quantisation.prepared_network import prepared
from sweep.toolchain.quantisation.range_table import RangeTable, observe, write_table
from tests.toolchain.quantisation.networks_with_ranges import options

VALUES = 6


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of seven samples, none like another: options and hints of a calibration on it."""
    folder = tmp_path_factory.mktemp("dataset")
    samples = np.random.default_rng(5).normal(size=(7, VALUES)).astype(np.float32)
    np.savez(folder / "numbers.npz", x=samples, y=np.arange(7) % 2)
    document = {"study": "a", "models": ["onnx-light:squeezenet"], "datasets": {"numbers": {"npz": "numbers.npz"}}}
    found = study_of(document, folder).datasets["numbers"]
    return {"options": dict(found.options), "files": dict(found.files)}


def _network(path: Path, batch: int) -> Any:
    """Tensors with the samples on their first axis, on their last, and on none that is theirs alone."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Relu", ["x"], ["kept"]),
        helper.make_node("Transpose", ["kept"], ["turned"], perm=[1, 0]),
        helper.make_node("Reshape", ["turned", "shape"], ["flat"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, VALUES])],
        [helper.make_tensor_value_info("flat", TensorProto.FLOAT, [batch * VALUES])],
        [helper.make_tensor("shape", TensorProto.INT64, [1], [-1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return prepared(path)


def _table(folder: Path, dataset: dict[str, Any], batch: int, samples: int) -> RangeTable:
    model = _network(folder / f"{batch}.onnx", batch)
    options = {"samples": samples, "seed": 0, "dataset": dataset["options"]}
    seen = DatasetSamples(model, options, {"dataset": "numbers", "dataset_files": dataset["files"]})
    return observe(model, seen, seen.samples, seen.source, seen.repeated)


@pytest.mark.parametrize(("batch", "samples"), [(4, 5), (4, 4), (3, 7), (8, 3)])
def test_each_sample_counts_once_however_the_last_batch_is_filled(
    dataset: dict[str, Any], tmp_path: Path, batch: int, samples: int
) -> None:
    one_by_one, table = (_table(tmp_path, dataset, size, samples) for size in (1, batch))
    assert set(table.activations) == {"x", "kept", "turned", "flat"}
    assert table.samples == samples
    for name, seen in table.activations.items():
        alone = one_by_one.activations[name]
        assert (seen.low, seen.high) == (alone.low, alone.high)
        assert seen.histogram.sum() == samples * VALUES
        np.testing.assert_array_equal(seen.histogram, alone.histogram, err_msg=name)


def _rectified_sums(path: Path, batch: int) -> Any:
    """Two products with a rectifier between them, and the samples on the last axis of what comes of it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(1)
    stored = [
        numpy_helper.from_array(generator.normal(size=shape).astype(np.float32), name)
        for name, shape in (("first", (VALUES, 5)), ("second", (5, 3)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["kept"]),
        helper.make_node("MatMul", ["kept", "second"], ["made"]),
        helper.make_node("Transpose", ["made"], ["y"], perm=[1, 0]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, VALUES])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, batch])
    graph = helper.make_graph(nodes, "net", [x], [y], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return prepared(path)


@pytest.mark.parametrize(("batch", "samples"), [(4, 5), (8, 3), (3, 6)])
def test_layers_are_compared_on_each_sample_once(
    dataset: dict[str, Any], tmp_path: Path, batch: int, samples: int
) -> None:
    sampled = {"samples": samples, "seed": 0, "dataset": dataset["options"]}
    hints = {"dataset": "numbers", "dataset_files": dataset["files"]}
    told = {}
    model = _rectified_sums(tmp_path / "1.onnx", 1)
    seen = DatasetSamples(model, sampled, hints)
    table = observe(model, seen, seen.samples, seen.source, seen.repeated)  # the same for both
    for size in (1, batch):
        model, folder = _rectified_sums(tmp_path / f"{size}.onnx", size), tmp_path / f"calibrated-{size}"
        folder.mkdir()
        write_table(table, model, folder)
        out = str(tmp_path / f"out-{size}")
        told[size] = compare_layers({**options(), **sampled}, hints, str(folder), out)
    alone, together = told[1], told[batch]
    assert (alone["samples"], together["samples"]) == (samples, samples)
    assert alone["ranked"] == together["ranked"]
    for one, other in zip([*alone["layers"], *alone["steps"]], [*together["layers"], *together["steps"]], strict=True):
        for key, value in one.items():
            if value is None or not ("distance" in key or key.endswith(("_db", "_diff"))):
                assert other[key] == value
            else:
                assert other[key] == pytest.approx(value, rel=1e-4, abs=1e-9), key
