"""Values that float16 cannot hold are found, with the layer where they first come up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.files.npz import save_arrays
from sweep.planning.results.compiling import LowerResult
from sweep.toolchain.models.float16_range import beyond_float16


def _written(folder: Path, factor: float) -> Path:
    stored = [
        numpy_helper.from_array(np.float32(value), name) for name, value in (("by", factor), ("back", 1 / factor))
    ]
    nodes = [
        helper.make_node("Mul", ["x", "by"], ["large"], name="first"),
        helper.make_node("Mul", ["large", "by"], ["larger"], name="second"),
        helper.make_node("Mul", ["larger", "back"], ["y"], name="third"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    save_arrays(folder / "inputs.npz", {"x": np.array([1, -2], np.float32)})
    return folder


@pytest.mark.parametrize(("factor", "layer"), [(10.0, None), (300.0, "second"), (40_000.0, "first")])
def test_the_first_layer_beyond_the_range_is_told(tmp_path: Path, factor: float, layer: str | None) -> None:
    found = beyond_float16(_written(tmp_path, factor))
    assert (None if found is None else found["layer"]) == layer
    if found is not None:
        value = 2 * factor * (factor if layer == "second" else 1)
        said = LowerResult(beyond_range=found).range_words
        assert said == f"in float32 the network exceeds float16's range, 65,504, at Mul {layer}: {value:.3g}"


def test_nothing_is_told_of_a_network_that_is_not_there_or_does_not_run(tmp_path: Path) -> None:
    assert beyond_float16(tmp_path) is None
    _written(tmp_path, 1e6)
    (tmp_path / "model.onnx").write_bytes(b"no network")
    assert beyond_float16(tmp_path) is None
