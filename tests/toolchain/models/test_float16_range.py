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


def _attention(folder: Path, mask: list[tuple[str, list[str]]], constants: dict[str, float], factor: float) -> Path:
    """Softmax of masked scores, then a factor and its inverse."""
    stored = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    stored += [numpy_helper.from_array(np.float32(one), name) for name, one in (("by", factor), ("back", 1 / factor))]
    nodes = [
        helper.make_node("Cast", ["keep"], ["kept"], to=TensorProto.FLOAT),
        *(helper.make_node(kind, inputs, [kind.lower()], name=kind) for kind, inputs in mask),
        helper.make_node("Softmax", [mask[-1][0].lower()], ["shares"], axis=-1, name="softmax"),
        helper.make_node("Mul", ["shares", "by"], ["large"], name="grows"),
        helper.make_node("Mul", ["large", "back"], ["y"], name="shrinks"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy")
    keep = helper.make_tensor_value_info("keep", TensorProto.BOOL, [1, 3])
    graph = helper.make_graph(nodes, "g", [x, keep], [y], stored)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "model.onnx")
    )
    inputs = {"x": np.array([[1, 2, 3]], np.float32), "keep": np.array([[True, False, True]])}
    save_arrays(folder / "inputs.npz", inputs)
    return folder


LEAST = float(np.finfo(np.float32).min)
CHOSEN = [("Where", ["keep", "x", "mask"])]
ADDED = [("Sub", ["one", "kept"]), ("Div", ["sub", "tiny"]), ("Add", ["x", "div"])]


@pytest.mark.parametrize("factor", [1.0, 1e6])
@pytest.mark.parametrize(
    ("mask", "constants"),
    [
        (CHOSEN, {"mask": -np.inf}),
        (CHOSEN, {"mask": LEAST}),
        (CHOSEN, {"mask": -1e9}),
        (ADDED, {"one": 1.0, "tiny": -1e-9}),
    ],
    ids=["infinite", "least", "large", "added"],
)
def test_a_mask_is_no_overflow_and_hides_none(
    tmp_path: Path, mask: list[tuple[str, list[str]]], constants: dict[str, float], factor: float
) -> None:
    """What is minus infinity before a softmax may be it in float16 too."""
    found = beyond_float16(_attention(tmp_path, mask, constants, factor))
    assert (found and found["layer"]) == (None if factor == 1.0 else "grows")
    if found is not None:
        assert 2e5 < found["value"] <= 1e6


def test_a_mask_that_float16_multiplies_by_zero_is_told(tmp_path: Path) -> None:
    """Infinite in float16, and no number at all where nothing is masked."""
    mask = [("Sub", ["one", "kept"]), ("Mul", ["sub", "least"]), ("Add", ["x", "mul"])]
    found = beyond_float16(_attention(tmp_path, mask, {"one": 1.0, "least": LEAST}, 1.0))
    assert found == {"layer": "Mul", "operator": "Mul", "value": -LEAST}


def test_what_a_bound_takes_back_is_no_overflow(tmp_path: Path) -> None:
    folder = _written(tmp_path, 40_000.0)
    model = onnx.load(str(folder / "model.onnx"))
    most = numpy_helper.from_array(np.float32(6), "most")
    least = numpy_helper.from_array(np.float32(LEAST), "least")
    del model.graph.node[1:]
    model.graph.initializer.extend([least, most])
    model.graph.node.append(helper.make_node("Clip", ["large", "least", "most"], ["bounded"], name="clip"))
    model.graph.node.append(helper.make_node("Relu", ["bounded"], ["y"], name="relu"))
    onnx.save(model, str(folder / "model.onnx"))
    assert beyond_float16(folder) is None


def test_nothing_is_told_of_a_network_that_is_not_there_or_does_not_run(tmp_path: Path) -> None:
    assert beyond_float16(tmp_path) is None
    _written(tmp_path, 1e6)
    (tmp_path / "model.onnx").write_bytes(b"no network")
    assert beyond_float16(tmp_path) is None


@pytest.mark.parametrize("factor", [1.0, 1e6])
def test_a_network_is_tried_once_however_often_it_is_lowered(
    tmp_path: Path, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = beyond_float16(_written(tmp_path, factor))
    assert (found is None) is (factor == 1.0)

    def try_again(*_: object) -> None:
        raise AssertionError("it was tried before")

    monkeypatch.setattr("sweep.toolchain.models.float16_range.run_onnxruntime", try_again)
    assert beyond_float16(tmp_path) == found
    (tmp_path / "float16_range.json").unlink()
    assert beyond_float16(tmp_path) is None, "who cannot run it cannot tell, and keeps nothing"
    assert not (tmp_path / "float16_range.json").exists()
