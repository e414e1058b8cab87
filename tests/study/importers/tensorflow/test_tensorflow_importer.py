"""SavedModel folders and frozen graphs: found with what belongs to them, and refused with the way to an ONNX file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.study.gate import load_study
from sweep.study.importers.tensorflow import tensorflow_importer
from sweep.study.importers.tensorflow.tensorflow_importer import PYTHON_VARIABLE
from sweep.study.spec import Model


def read(folder: Path, written: str) -> Model:
    (folder / "study.yaml").write_text(f"study: s\nmodels: [{written}]\n")
    return load_study(folder / "study.yaml").models[0]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "net" / "variables").mkdir(parents=True)
    (tmp_path / "net" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "net" / "variables" / "variables.index").write_bytes(b"weights")
    return tmp_path / "net"


def test_a_folder_is_a_model_with_its_variables(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    model = read(net.parent, "net")
    assert (model.name, model.importer, model.formats) == ("net", "tensorflow", ("onnx",))
    assert (model.path, model.companions) == (net / "saved_model.pb", (net / "variables" / "variables.index",))
    (net / "variables" / "variables.index").write_bytes(b"others")
    assert read(net.parent, "net").sha256 != model.sha256


def test_a_frozen_graph_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    (tmp_path / "frozen.pb").write_bytes(b"graph")
    model = read(tmp_path, "frozen.pb")
    assert (model.name, model.importer, model.companions) == ("frozen", "tensorflow", ())


@pytest.mark.parametrize("written", ["net", "net/saved_model.pb"])
def test_without_tensorflow_the_refusal_has_the_command(
    net: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(tensorflow_importer, "_PACKAGES", ("no_such_tensorflow",))
    with pytest.raises(StudyError) as refused:
        read(net.parent, written)
    told = str(refused.value)
    assert "needs no_such_tensorflow, not installed here" in told
    assert f"tf2onnx.convert --saved-model {net} --opset 17" in told
    assert "\n" not in told


def test_an_interpreter_that_is_none_is_refused(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/no/such/python")
    with pytest.raises(StudyError, match=f"{PYTHON_VARIABLE}=/no/such/python is no interpreter"):
        read(net.parent, "net")
