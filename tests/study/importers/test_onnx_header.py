"""The inputs that an ONNX file declares, against the onnx package's own reading of it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.study.importers.importer import HeaderReader, ModelInput
from sweep.study.importers.importer_registry import importer_named
from sweep.study.importers.onnx_header import onnx_inputs
from sweep.study.importers.onnx_importer import ONNX
from tests.networks import write_corrupt, write_tiny

LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("light_*.onnx"))


def by_onnx(path: Path) -> list[ModelInput]:
    graph = onnx.load(str(path), load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [
        ModelInput(
            value.name,
            tuple(dim.dim_value or dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim),
            "float32",
        )
        for value in graph.input
        if value.name not in weights
    ]


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_the_networks_of_the_onnx_package(path: Path) -> None:
    assert onnx_inputs(path) == by_onnx(path)
    assert len(onnx_inputs(path)) == 1


def test_open_dimensions_scalars_and_what_is_no_tensor(tmp_path: Path) -> None:
    shapes = {"image": ["batch", 3, "height", None], "ids": [1, 0], "negative": [-1, 2], "scalar": [], "any": None}
    kinds = {"ids": TensorProto.INT64}
    declared = [
        helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape) for name, shape in shapes.items()
    ]
    listed = helper.make_tensor_sequence_value_info("listed", TensorProto.FLOAT, None)
    weight = numpy_helper.from_array(numpy_helper.to_array(TensorProto(data_type=1, dims=[0])), "weight")
    old = helper.make_tensor_value_info("weight", TensorProto.FLOAT, [0])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["y"])], "g", [*declared, listed, old], [output], [weight]
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())

    assert onnx_inputs(path) == [
        ModelInput("image", ("batch", 3, "height", "?"), "float32"),
        ModelInput("ids", (1, "?"), "int64"),
        ModelInput("negative", ("?", 2), "float32"),
        ModelInput("scalar", (), "float32"),
        ModelInput("any", None, "float32"),
        ModelInput("listed", None),
    ]


def test_what_is_no_network(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    for path in (text, write_corrupt(tmp_path / "half.onnx")):
        with pytest.raises(ValueError, match="is no ONNX model, or a damaged one"):
            onnx_inputs(path)


def test_a_file_that_ends_between_two_fields(tmp_path: Path) -> None:
    """As a download may: what is left is a message, and no network."""
    whole = onnx.load(str(write_tiny(tmp_path / "tiny.onnx")))
    without_opset, without_layers = onnx.ModelProto(), onnx.ModelProto()
    without_opset.CopyFrom(whole)
    without_layers.CopyFrom(whole)
    del without_opset.opset_import[:], without_layers.graph.node[:]
    for cut in (without_opset, without_layers, onnx.ModelProto(ir_version=8, producer_name="p")):
        (tmp_path / "cut.onnx").write_bytes(cut.SerializeToString())
        with pytest.raises(ValueError, match="or a damaged one"):
            onnx_inputs(tmp_path / "cut.onnx")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_a_file_that_is_cut_anywhere(share: float, tmp_path: Path) -> None:
    whole = write_tiny(tmp_path / "tiny.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="or a damaged one"):
        onnx_inputs(tmp_path / "cut.onnx")


def test_the_importer_offers_it(tmp_path: Path) -> None:
    assert isinstance(importer_named("onnx"), HeaderReader)
    assert ONNX.inputs_of(write_tiny(tmp_path / "tiny.onnx")) == [ModelInput("x", (1, 3, 8, 8), "float32")]
