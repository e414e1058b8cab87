"""What of an ONNX model is hashed, and what is refused, without the onnx package on the program's side."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.errors import StudyError
from sweep.study.importers.onnx_external_data import external_locations
from sweep.study.model_file import read_model
from sweep.study.spec import Model


def external(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph(tensors: list[TensorProto], nodes: list[Any] = []) -> Any:  # noqa: B006
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])] for name in "xy")
    return helper.make_graph([helper.make_node("Relu", ["x"], ["y"]), *nodes], "g", inputs, outputs, tensors)


def write(path: Path, tensors: list[TensorProto], nodes: list[Any] = []) -> Path:  # noqa: B006
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(helper.make_model(graph(tensors, nodes)).SerializeToString())
    return path


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Model]:
    return lambda source: read_model(source, tmp_path / "s.yaml", "models[0]")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_weights_under_any_name_are_hashed_and_belong_to_the_model(
    tmp_path: Path, read: Callable[[str], Model]
) -> None:
    network = write(tmp_path / "net.onnx", [external("a", "weights.bin"), external("b", "parts/b.bin")])
    (tmp_path / "parts").mkdir()
    hashes = []
    for first, second in ((b"one", b"two"), (b"uno", b"two"), (b"one", b"due")):
        (tmp_path / "weights.bin").write_bytes(first)
        (tmp_path / "parts" / "b.bin").write_bytes(second)
        hashes.append(read("net.onnx").sha256)
    parts = [network.read_bytes(), b"one", b"two"]
    assert hashes[0] == sha256(" ".join(map(sha256, parts)).encode())
    assert len(set(hashes)) == 3
    assert read("net.onnx").companions == (tmp_path / "weights.bin", tmp_path / "parts" / "b.bin")


def test_weights_under_a_usual_name_are_hashed_as_ever(tmp_path: Path, read: Callable[[str], Model]) -> None:
    """Whether the network names them or not, in this order: sweeps of older versions resume."""
    network = write(tmp_path / "net.onnx", [external("a", "net.onnx_data")])
    (tmp_path / "net.onnx_data").write_bytes(b"named")
    (tmp_path / "net.data").write_bytes(b"not named")
    parts = [network.read_bytes(), b"not named", b"named"]
    assert read("net.onnx").sha256 == sha256(" ".join(map(sha256, parts)).encode())


def test_a_network_in_one_file_is_the_hash_of_that(tmp_path: Path, read: Callable[[str], Model]) -> None:
    network = write(tmp_path / "net.onnx", [numpy_helper.from_array(np.ones(4, np.float32), "location")])
    assert read("net.onnx").sha256 == sha256(network.read_bytes())
    assert read("net.onnx").companions == ()


def test_weights_that_are_not_there_or_end_too_soon_are_refused(tmp_path: Path, read: Callable[[str], Model]) -> None:
    first, second = external("a", "w.bin"), external("b", "w.bin")
    first.external_data.add(key="length", value="16")
    second.external_data[0].value = "1024"
    second.external_data.add(key="length", value="16")
    write(tmp_path / "net.onnx", [first, second])
    with pytest.raises(
        StudyError, match=r"has weights in a file that is not there \(got 'w\.bin'\); allowed: .*/w\.bin"
    ):
        read("net.onnx")
    (tmp_path / "w.bin").write_bytes(b"x" * 1039)
    with pytest.raises(StudyError, match=r"ends too soon, after byte 1,039 \(got 'w\.bin'\); allowed: .*1,040 bytes"):
        read("net.onnx")
    (tmp_path / "w.bin").write_bytes(b"x" * 1040)
    assert read("net.onnx").companions == (tmp_path / "w.bin",)


@pytest.mark.parametrize("extent", [b"-1", b"x", b"9" * 40, b""])
def test_an_extent_that_is_no_number_is_the_loaders_to_judge(
    extent: bytes, tmp_path: Path, read: Callable[[str], Model]
) -> None:
    weights = external("a", "w.bin")
    weights.external_data.add(key="length", value=extent)
    write(tmp_path / "net.onnx", [weights])
    (tmp_path / "w.bin").write_bytes(b"x")
    assert read("net.onnx").companions == (tmp_path / "w.bin",)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "parts/../../secret.bin", "a\0b"])
def test_weights_outside_the_folder_are_refused_in_a_line(
    location: str, tmp_path: Path, read: Callable[[str], Model]
) -> None:
    write(tmp_path / "in" / "net.onnx", [external("a", location)])
    (tmp_path / "secret.bin").write_bytes(b"x")
    with pytest.raises(
        StudyError, match=r"models\[0\]: has weights outside its own folder \(got .*\); allowed: "
    ) as it:
        read("in/net.onnx")
    assert "\n" not in str(it.value)


def test_a_file_with_a_second_name_is_refused_too(tmp_path: Path, read: Callable[[str], Model]) -> None:
    """It may be anybody's file, and the onnx package refuses it when the import runs."""
    write(tmp_path / "in" / "net.onnx", [external("a", "w.bin")])
    (tmp_path / "secret.bin").write_bytes(b"x" * 64)
    os.link(tmp_path / "secret.bin", tmp_path / "in" / "w.bin")
    with pytest.raises(StudyError, match=r"a second name \(a hard link\) \(got .w\.bin.\); allowed: a copy"):
        read("in/net.onnx")


def test_a_link_that_leads_outside_is_refused_too(tmp_path: Path, read: Callable[[str], Model]) -> None:
    write(tmp_path / "in" / "net.onnx", [external("a", "w.bin")])
    (tmp_path / "secret.bin").write_bytes(b"x")
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(StudyError, match="outside its own folder"):
        read("in/net.onnx")


def test_locations_are_found_wherever_a_tensor_can_be(tmp_path: Path) -> None:
    """In a constant's attribute, in the branches of an If, in a function of the model's own, in a sparse tensor."""
    constant = helper.make_node("Constant", [], ["c"], value=external("c", "constant.bin"))
    several = helper.make_node("Own", ["x"], ["d"], domain="own", many=[external("d", "list.bin")])
    branch = helper.make_node("If", ["q"], ["e"], then_branch=graph([external("e", "then.bin")]))
    model = helper.make_model(graph([external("a", "plain.bin")], [constant, several, branch]))
    model.functions.append(helper.make_function("own", "Own", ["x"], ["d"], [constant], []))
    model.functions[0].node[0].attribute[0].t.external_data[1].value = "function.bin"
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(external("s", "values.bin"))
    sparse.indices.CopyFrom(external("i", "indices.bin"))
    model.graph.sparse_initializer.append(sparse)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    names = ["plain", "constant", "list", "then", "function", "values", "indices"]
    assert sorted(external_locations(path)) == sorted(f"{name}.bin" for name in names)


@pytest.mark.parametrize("cut", [1, 7, 30, -3])
def test_a_file_that_is_no_message_has_no_weights_elsewhere(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [external("a", "w.bin")])
    path.write_bytes(path.read_bytes()[cut:] + b"\xff" * 5 + b"location")
    assert external_locations(path) == {}
