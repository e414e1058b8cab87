"""What is told of a Keras model before anything is run: its inputs in order, and code that it would bring."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import StudyError
from sweep.study.gate import load_study
from sweep.study.importers.importer import ModelInput
from sweep.study.importers.keras.keras_archive import read_archive

pytestmark = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="the extra `keras`")


def layer(class_name: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def model(*layers: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Functional", "config": {"layers": list(layers), **config}}


def entry(name: str, *shape: int | None, dtype: str = "float32") -> dict[str, Any]:
    return layer("InputLayer", batch_shape=shape, dtype=dtype, name=name)


def archived(folder: Path, config: Any, name: str = "net.keras") -> Path:
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"")
    return folder / name


IDS, LEFT = entry("ids", None, None, dtype="int32"), entry("left", None, 8)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (model(entry("image", None, 16, 16, 3), layer("Dense")), ["image"]),
        (model(LEFT, IDS, input_layers=[["ids", 0, 0], ["left", 0, 0]]), ["ids", "left"]),
        (model(LEFT, IDS, input_layers={"z": ["ids", 0, 0], "a": ["left", 0, 0]}), ["left", "ids"]),
        (model(LEFT, input_layers=["left", 0, 0]), ["left"]),
        (model(layer("InputLayer", batch_input_shape=[None, 4], dtype="float32", name="old")), ["old"]),
        (model(layer("Dense"), build_input_shape=[None, 4]), ["input"]),
    ],
)
def test_inputs_are_in_the_order_of_the_model(tmp_path: Path, config: Any, names: list[str]) -> None:
    assert [one.name for one in read_archive(archived(tmp_path, config)).inputs()] == names


def test_an_input_has_its_shape_and_number_type(tmp_path: Path) -> None:
    [found] = read_archive(archived(tmp_path, model(IDS))).inputs()
    assert found == ModelInput("ids", ("?", "?"), "int32")


LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEA"}})
OWN = {"module": None, "class_name": "Mine", "config": {}, "registered_name": "shop>Mine"}


def refusal(folder: Path, written: str) -> str:
    (folder / "study.yaml").write_text(f"study: s\nmodels: [{written}]\n")
    with pytest.raises(StudyError) as refused:
        load_study(folder / "study.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (model(LEFT, LAMBDA), "has a function as compiled code, in a Lambda layer, which is not run"),
        (model(LEFT, layer("Custom", module="my_layers")), "has the class Custom of my_layers, which is not run"),
        (model(LEFT, layer("TimeDistributed", layer=OWN)), "has the class Mine of shop, which is not run"),
        (model(LEFT, layer("system", module="os")), "has the class system of os, which is not run"),
        ([1], "is damaged, or something else"),
        ({"class_name": "Mine"}, "is damaged, or something else"),
    ],
)
def test_code_that_an_archive_brings_is_refused(tmp_path: Path, config: Any, told: str) -> None:
    archived(tmp_path, config)
    assert told in refusal(tmp_path, "net.keras")


def test_older_and_damaged_files_are_refused_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "is of an earlier format of Keras" in (told := refusal(tmp_path, "net.h5"))
    assert "save('net.keras')" in told
    (tmp_path / "cut.keras").write_bytes(archived(tmp_path, model(LEFT)).read_bytes()[:100])
    assert "is damaged, or something else" in refusal(tmp_path, "cut.keras")


def test_a_shape_is_held_against_the_header(tmp_path: Path) -> None:
    archived(tmp_path, model(IDS, LEFT))
    assert "leaves dimension 1 of its input 'ids' open" in refusal(tmp_path, "net.keras")
    told = refusal(tmp_path, "{path: net.keras, inputs: {id: [1, 7]}}")
    assert "is no input of the network, did you mean 'ids'?" in told
    (tmp_path / "study.yaml").write_text("study: s\nmodels: [{path: net.keras, inputs: {ids: [1, 7]}}]\n")
    [read] = load_study(tmp_path / "study.yaml").models
    assert (read.importer, read.formats, dict(read.inputs)) == ("keras", ("pt2", "onnx"), {"ids": (1, 7)})


def test_a_network_of_keras_applications_has_its_usual_picture(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "study: s\nmodels: ['keras-applications:ResNet50', 'keras-applications:Xception']\n"
    )
    resnet, xception = load_study(tmp_path / "study.yaml").models
    assert (resnet.name, resnet.importer, resnet.is_installed) == ("ResNet50", "keras", True)
    assert resnet.options == {"application": "ResNet50", "weights": "random"}
    assert xception.sha256 == resnet.sha256
    told = refusal(tmp_path, "'keras-applications:ResNet5'")
    assert "is no network of keras.applications, did you mean" in told
    told = refusal(tmp_path, "{path: 'keras-applications:ResNet50', inputs: {picture: [1, 64, 64, 3]}}")
    assert "is no input of the network" in told
