"""Files of models that are damaged, or made to do harm, of every format that importers take."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from tests import tflite_files
from tests.tflite_networks import Byte, Network, ints, written

__all__ = ["MALFORMED", "write_malformed"]

FLOAT = TensorProto.FLOAT
Maker = Callable[[Path, Path], bytes | None]
"""Of a file's content, or writes it itself. Takes the file, and what must stay as it is."""


def _onnx(
    nodes: list[Any] | None = None, weights: list[Any] | None = None, shape: list[int] | None = None, **more: Any
) -> Any:
    nodes = [helper.make_node("Relu", ["x"], ["y"])] if nodes is None else nodes
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, shape or [1, 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        weights or [],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, **more)


def _with_weight(tensor: Any) -> bytes:
    return bytes(_onnx([helper.make_node("Add", ["x", "w"], ["y"])], [tensor]).SerializeToString())


def _external(location: str, *, offset: int = 0, length: int = 16) -> bytes:
    tensor = numpy_helper.from_array(np.zeros(4, "float32"), "w")
    external_data_helper.set_external_data(tensor, location, offset=offset, length=length)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return _with_weight(tensor)


def _huge_weight() -> bytes:
    tensor = numpy_helper.from_array(np.zeros(4, "float32"), "w")
    tensor.dims[:] = [1 << 40, 1 << 20]
    return _with_weight(tensor)


def _linked(path: Path, secret: Path) -> bytes:
    (path.parent / "linked.bin").symlink_to(secret)
    return _external("linked.bin")


def _cycle() -> bytes:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return bytes(_onnx([*nodes, helper.make_node("Neg", ["b"], ["y"])]).SerializeToString())


def _twice() -> bytes:
    return bytes(
        _onnx([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]).SerializeToString()
    )


def _forever() -> bytes:
    values = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("i", TensorProto.INT64, []), ("on", TensorProto.BOOL, []), ("v", FLOAT, [1, 4]))
    ]
    results = [
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("w", FLOAT, [1, 4]),
    ]
    nodes = [helper.make_node("Identity", ["on"], ["go"]), helper.make_node("Relu", ["v"], ["w"])]
    loop = helper.make_node("Loop", ["many", "", "x"], ["y"], body=helper.make_graph(nodes, "b", values, results))
    return bytes(_onnx([loop], [numpy_helper.from_array(np.array(1 << 62), "many")]).SerializeToString())


_INDEXING = ("GatherElements", "GatherND", "ScatterElements", "ScatterND")


def _indexed(operator: str) -> Maker:
    """Far outside: where an evaluator does not stop, and code reads or writes memory that is not its own."""

    def made(path: Path, secret: Path) -> bytes:
        updates = np.ones(1 if operator == "ScatterND" else (1, 2), np.float32)
        stored = {"i": np.array([[1 << 40, 0]]), "u": updates}
        inputs = ["x", "i", *(["u"] if operator.startswith("Scatter") else [])]
        tensors = [numpy_helper.from_array(array, name) for name, array in stored.items() if name in inputs]
        return bytes(_onnx([helper.make_node(operator, inputs, ["y"])], tensors).SerializeToString())

    return made


_CONVOLVING = {"Conv": (4, 3, 3, 3), "ConvTranspose": (3, 4, 3, 3)}
"""Shapes of their weights."""


def _other_kernel(operator: str) -> Maker:
    """Larger than its weight: code by the attribute reads past the weight's end."""

    def made(path: Path, secret: Path) -> bytes:
        weight = numpy_helper.from_array(np.ones(_CONVOLVING[operator], np.float32), "w")
        node = helper.make_node(operator, ["x", "w"], ["y"], kernel_shape=[5, 5])
        return bytes(_onnx([node], [weight], [1, 3, 8, 8]).SerializeToString())

    return made


def _tflite(**changed: Any) -> bytes:
    network = Network()
    data, result = network.tensor("x", changed.get("shape", (1, 4))), network.tensor("y", changed.get("shape", (1, 4)))
    network.operator(changed.get("operator", "ABS"), [changed.get("takes", data)], [changed.get("gives", result)])
    network.tensors[0][2] = changed.get("buffer", 0)
    return network.written([data], [changed.get("output", result)])


def _circle() -> bytes:
    network = Network()
    data, one, two = (network.tensor(name, (1, 4)) for name in "xyz")
    network.operator("ADD", [data, two], [one], ("AddOptions", {}))
    network.operator("ABS", [one], [two])
    return network.written([data], [two])


def _state_of_nothing() -> bytes:
    network = Network()
    data, handle, value = (
        network.tensor("x", (1, 4)),
        network.tensor("h", (1,), "resource"),
        network.tensor("v", (1, 4)),
    )
    network.operator("CALL_ONCE", [], [], ("CallOnceOptions", {0: 7}))
    network.operator("READ_VARIABLE", [handle], [value], ("ReadVariableOptions", {}))
    network.operator("ASSIGN_VARIABLE", [handle, data], [], ("AssignVariableOptions", {}))
    network.tensors[handle][5] = True
    return network.written([data], [value])


def _short_options() -> bytes:
    content = Network()
    data, weights, bias = content.tensor("x", (1, 2, 2, 1)), content.constant(np.zeros((1, 2, 2, 1)), "float32"), None
    bias = content.constant(np.zeros(1), "float32")
    result = content.tensor("y", (1, 4, 4, 1))
    content.operator("Convolution2DTransposeBias", [data, weights, bias], [result])
    content.operators[-1][5] = np.zeros(3, np.uint8)
    return content.written([data], [result])


def _archive(**files: bytes | str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _bomb(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"{" + bytes(1 << 26))
    return stream.getvalue()


class _Harm:
    def __init__(self, place: Path) -> None:
        self._place = str(place)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.unlink, (self._place,)


def _pickled(path: Path, secret: Path) -> bytes:
    return pickle.dumps(_Harm(secret))


def _pickled_in_archive(path: Path, secret: Path) -> bytes:
    harm = pickle.dumps(_Harm(secret), protocol=2)
    names = {f"net/{name}": harm for name in ("data.pkl", "data/weights/weights.pt", "models/model.json")}
    return _archive(**names, **{"net/version": "3", "net/archive_format": "pt2", "net/byteorder": "little"})


def _keras(*layers: dict[str, Any]) -> bytes:
    config = {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "s", "layers": [
            {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
             "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "x"}}, *layers]},
    }  # fmt: skip
    about = json.dumps({"keras_version": "3.15.0", "date_saved": ""})
    return _archive(
        **{"config.json": json.dumps(config), "metadata.json": about, "model.weights.h5": b"\x89HDF\r\n\x1a\n"}
    )


def _layer(kind: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "registered_name": None, "config": config}


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


_RANDOM = np.random.default_rng(0).integers(0, 256, 4096).astype(np.uint8).tobytes()
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
_SUFFIXES = ("onnx", "tflite", "pt2", "keras", "pb")


def _plain(content: Callable[[], bytes]) -> Maker:
    return lambda path, secret: content()


MALFORMED: dict[str, tuple[str, Maker]] = {
    **{f"{suffix}: of no bytes": (suffix, _plain(lambda: b"")) for suffix in _SUFFIXES},
    **{f"{suffix}: random bytes": (suffix, _plain(lambda: _RANDOM)) for suffix in _SUFFIXES},
    **{f"{suffix}: a pointer of Git LFS": (suffix, _plain(lambda: _POINTER)) for suffix in _SUFFIXES},
    **{f"{suffix}: an ONNX file": (suffix, _plain(lambda: _onnx().SerializeToString())) for suffix in _SUFFIXES[1:]},
    "onnx: a TFLite file": ("onnx", _plain(_tflite)),
    "onnx: cut short": (
        "onnx",
        _plain(lambda: _cut(_with_weight(numpy_helper.from_array(np.zeros(99, "float32"), "w")))),
    ),
    "onnx: a weight of 2**60 values": ("onnx", _plain(_huge_weight)),
    "onnx: an input of 2**62 values": ("onnx", _plain(lambda: _onnx(shape=[1 << 31, 1 << 31]).SerializeToString())),
    "onnx: data that are missing": ("onnx", _plain(lambda: _external("weights.bin"))),
    "onnx: data above its folder": ("onnx", _plain(lambda: _external("../outside/results.parquet"))),
    "onnx: data by an absolute path": ("onnx", lambda path, secret: _external(str(secret))),
    "onnx: data behind a link": ("onnx", _linked),
    "onnx: data behind its end": (
        "onnx",
        lambda path, secret: (path.with_name("w.bin").write_bytes(bytes(8)), _external("w.bin", offset=1 << 40))[1],
    ),
    "onnx: a circle": ("onnx", _plain(_cycle)),
    "onnx: a value made twice": ("onnx", _plain(_twice)),
    "onnx: an unknown operator": (
        "onnx",
        _plain(lambda: _onnx([helper.make_node("Frobnicate", ["x"], ["y"])]).SerializeToString()),
    ),
    "onnx: an unknown domain": (
        "onnx",
        _plain(lambda: _onnx([helper.make_node("Relu", ["x"], ["y"], domain="a.b")]).SerializeToString()),
    ),
    "onnx: an opset of the future": (
        "onnx",
        _plain(
            lambda: helper.make_model(
                _onnx().graph, opset_imports=[helper.make_opsetid("", 999)], ir_version=9
            ).SerializeToString()
        ),
    ),
    "onnx: a loop of 2**62 steps": ("onnx", _plain(_forever)),
    **{
        f"onnx: an index outside of what it indexes ({operator})": ("onnx", _indexed(operator))
        for operator in _INDEXING
    },
    **{
        f"onnx: a kernel_shape that its weight has not ({operator})": ("onnx", _other_kernel(operator))
        for operator in _CONVOLVING
    },
    "tflite: cut short": ("tflite", _plain(lambda: _cut(tflite_files.classifier()))),
    "tflite: a tensor of 2**60 values": ("tflite", _plain(lambda: _tflite(shape=(1 << 30, 1 << 30)))),
    "tflite: an operator on a tensor that is not there": ("tflite", _plain(lambda: _tflite(takes=99))),
    "tflite: content that is not there": ("tflite", _plain(lambda: _tflite(buffer=99))),
    "tflite: a circle": ("tflite", _plain(_circle)),
    "tflite: state of no variable": ("tflite", _plain(_state_of_nothing)),
    "tflite: options that are too short": ("tflite", _plain(_short_options)),
    "tflite: no graph": ("tflite", _plain(lambda: written({0: 3, 1: [], 2: [], 4: [{}]}))),
    "tflite: an operator of no code": (
        "tflite",
        _plain(
            lambda: written(
                {
                    0: 3,
                    1: [],
                    2: [
                        {
                            0: [{0: ints(1), 1: Byte(0), 2: 0, 3: "x"}],
                            1: ints(0),
                            2: ints(0),
                            3: [{0: 5, 1: ints(0), 2: ints(0)}],
                        }
                    ],
                    4: [{}],
                }
            )
        ),
    ),
    "pt2: a pickle that removes a file": ("pt2", _pickled),
    "pt2: an archive of such pickles": ("pt2", _pickled_in_archive),
    "pt2: an archive of nothing": ("pt2", _plain(lambda: _archive(**{"net/version": "3"}))),
    "pt2: an archive that leads outside": (
        "pt2",
        _plain(lambda: _archive(**{"../../outside/results.parquet": "yours"})),
    ),
    "pt2: an archive that unpacks to 64 MB": ("pt2", _plain(lambda: _bomb("net/models/model.json"))),
    "pt2: an archive cut short": ("pt2", _plain(lambda: _cut(_archive(**{"net/data.pkl": _RANDOM})))),
    "keras: an archive of nothing": ("keras", _plain(lambda: _archive(other=""))),
    "keras: no JSON": ("keras", _plain(lambda: _archive(**{"config.json": "{", "metadata.json": "{}"}))),
    "keras: code of its own": (
        "keras",
        _plain(
            lambda: _keras(
                _layer(
                    "Lambda",
                    name="l",
                    function={
                        "class_name": "__lambda__",
                        "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
                    },
                )
            )
        ),
    ),
    "keras: a function of another module": (
        "keras",
        _plain(lambda: _keras(_layer("system", module="os", command="touch here"))),
    ),
    "keras: a layer of 2**50 units": ("keras", _plain(lambda: _keras(_layer("Dense", name="d", units=1 << 50)))),
    "keras: an archive that leads outside": (
        "keras",
        _plain(lambda: _archive(**{"../../outside/results.parquet": "yours", "config.json": "{}"})),
    ),
    "keras: an archive that unpacks to 64 MB": ("keras", _plain(lambda: _bomb("config.json"))),
}
"""What is wrong, by the format: `suffix` and how the file is made."""


def write_malformed(name: str, folder: Path, secret: Path) -> Path:
    """The file below a folder. secret: a file that it must not change, nor read."""
    suffix, make = MALFORMED[name]
    path = folder / f"net.{suffix}"
    content = make(path, secret)
    if content is not None:
        path.write_bytes(content)
    return path
