"""A dump holds the network: it loads again to the same one, and its pictures show every operator."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import sweep
from sweep.errors import StudyError
from sweep.inspection.drawing.boxes import Box
from sweep.inspection.drawing.layered_layout import BOX_HEIGHT, laid_out
from tests.inspection.graphs import network

FILES = ["graph.json", "parameters.npz", "graph.svg", "graph.png"]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def _outputs(model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def _network(path: Path) -> Path:
    """A convolution, a constant node, a half-precision weight, a branch and a residual."""
    random = np.random.default_rng(0)
    then, other = (
        helper.make_graph(
            [helper.make_node("Mul", ["c", f"scale{at}"], [f"b{at}"])], "body", [],
            [helper.make_tensor_value_info(f"b{at}", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.array(2.0 + at, "float32"), f"scale{at}")],
        )
        for at in range(2)
    )  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["branch"], then_branch=then, else_branch=other),
        helper.make_node("Cast", ["h"], ["bias"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["branch", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["relu"]),
        helper.make_node("Add", ["relu", "c"], ["y"]),
    ]
    weights = {"w": random.normal(size=(4, 3, 3, 3)).astype("float32"), "h": np.ones((1, 4, 1, 1), "float16")}
    onnx.save(network(nodes, {"x": [1, 3, 8, 8]}, weights), str(path))
    return path


def test_it_loads_again_to_the_same_network(tmp_path: Path) -> None:
    path = _network(tmp_path / "net.onnx")

    written = sweep.inspect(path).dump(tmp_path / "dump")

    assert [each.name for each in written] == FILES
    original, loaded = onnx.load(path), sweep.load_dump(tmp_path / "dump")
    assert [node.name or node.output[0] for node in loaded.graph.node] == [
        node.name or node.output[0] for node in original.graph.node
    ]
    feeds = {"x": np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype("float32")}
    for found, right in zip(_outputs(loaded, feeds), _outputs(original, feeds), strict=True):
        np.testing.assert_array_equal(found, right)


def test_its_graph_is_plain_json_with_costs(tmp_path: Path) -> None:
    sweep.inspect(_network(tmp_path / "net.onnx")).dump(tmp_path / "dump")

    told = json.loads((tmp_path / "dump" / "graph.json").read_text())

    assert told["inputs"] == ["x"]
    assert told["tensors"]["c"] == {"shape": [1, 4, 8, 8], "dtype": "float32"}
    assert told["nodes"][0]["work"]["macs"] == 4 * 27 * 64
    assert told["totals"]["macs_dense"] == 4 * 27 * 64
    assert set(np.load(tmp_path / "dump" / "parameters.npz")) == {"w", "h", "yes", "scale0", "scale1"}


def test_its_pictures_show_each_operator(tmp_path: Path) -> None:
    sweep.inspect(_network(tmp_path / "<net> & 'co'.onnx")).dump(tmp_path / "dump")

    drawn = ET.parse(tmp_path / "dump" / "graph.svg").getroot()
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]

    assert {"x", "Conv", "If", "Add → Relu", "Add", "y"} <= set(texts)
    assert "1x4x8x8  108 parameters  6.91 k MACs" in texts
    with Image.open(tmp_path / "dump" / "graph.png") as picture:
        width, height = picture.size
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10
    assert abs(width - float(drawn.attrib["width"])) <= 1
    assert abs(height - float(drawn.attrib["height"])) <= 1


def test_boxes_do_not_overlap_and_lines_lead_down() -> None:
    before = [[at for at in (number - 1, number - 4) if at >= 0] for number in range(30)]
    boxes = [Box(f"b{number}", "Conv", "x" * (number % 9), sources) for number, sources in enumerate(before)]
    layout = laid_out(boxes)
    for one in layout.boxes:
        assert one.x - one.width / 2 >= 0
        assert one.x + one.width / 2 <= layout.width
        for other in layout.boxes:
            apart = abs(one.x - other.x) >= (one.width + other.width) / 2 or abs(one.y - other.y) >= BOX_HEIGHT
            assert one is other or apart
    assert all(start[1] <= end[1] for line in layout.lines for start, end in pairwise(line))


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(StudyError, match="has other files in it"):
        sweep.inspect(_network(tmp_path / "net.onnx")).dump(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.txt", "net.onnx"]


@pytest.mark.parametrize("damage", ["none", "no json", "no array", "other"])
def test_what_is_no_dump_is_one_line(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "dump"
    if damage != "none":
        sweep.inspect(_network(tmp_path / "net.onnx")).dump(place)
    if damage == "no json":
        (place / "graph.json").write_text("{")
    if damage == "no array":
        np.savez(place / "parameters.npz", w=np.ones(3))
    if damage == "other":
        (place / "graph.json").write_text('{"format": "tflite"}')
    with pytest.raises(StudyError) as told:
        sweep.load_dump(place)
    assert str(place) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_resnet_50_loads_again_to_the_same_network(tmp_path: Path) -> None:
    path = LIGHT / "light_resnet50.onnx"
    sweep.inspect(path).dump(tmp_path / "dump")
    feeds = {"gpu_0/data_0": np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype("float32")}
    found, right = (_outputs(model, feeds)[0] for model in (sweep.load_dump(tmp_path / "dump"), onnx.load(path)))
    np.testing.assert_array_equal(found, right)
