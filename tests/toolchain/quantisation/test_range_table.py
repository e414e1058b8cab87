"""What the table of a calibration counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.study.gate import study_of
from sweep.toolchain.quantisation.calibration_samples import DatasetSamples
from sweep.toolchain.quantisation.prepared_network import prepared
from sweep.toolchain.quantisation.range_table import RangeTable, observe

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
