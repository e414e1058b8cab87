"""What a job carries: the study as it was checked here, its networks wherever they lie, its own tuners."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from sweep.api.commands import submit
from sweep.api.commands.submit import pack
from sweep.errors import StudyError
from sweep.study.gate import load_study
from tests.networks import write_tiny

CLUSTER = "{name: far, engine: ray, devices: [{key: board, cores: [900], threads: 1}]}"
"""Of a host with more cores than this one."""


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A study in a folder of its own, with networks inside, beside and far from it."""
    study = tmp_path / "work" / "studies"
    for folder in (study / "nets", tmp_path / "work" / "beside", tmp_path / "far"):
        folder.mkdir(parents=True)
    for number, path in enumerate((study / "nets/in.onnx", tmp_path / "work/beside/b.onnx", tmp_path / "far/f.onnx")):
        write_tiny(path, seed=number)
    (study / "nets/in.onnx.data").write_text("weights")
    (study / "study.yaml").write_text(
        f"""
# A comment stays
study: packed
models: [nets/in.onnx, ../beside/b.onnx, {{path: {tmp_path}/far/f.onnx, name: far}}, 'onnx-light:squeezenet']
tuners: [none]
"""
    )
    (study / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "job").mkdir()
    return tmp_path


def test_networks_come_along_from_anywhere(place: Path) -> None:
    here = load_study(place / "work/studies/study.yaml")

    there, engine = pack(place / "work/studies/study.yaml", place / "work/studies/cluster.yaml", place / "job")

    assert engine == "ray"
    moved = shutil.move(place / "job", place / "elsewhere")
    shutil.rmtree(place / "work")
    shutil.rmtree(place / "far")
    again = load_study(Path(moved) / there.path.name)
    assert [(model.name, model.sha256) for model in again.models] == [
        (model.name, model.sha256) for model in here.models
    ]
    assert _files(place / "elsewhere") == {
        "study.yaml",
        "cluster-of-the-job.yaml",
        "nets/in.onnx",
        "nets/in.onnx.data",
        "models-of-the-job/1/b.onnx",
        "models-of-the-job/2/f.onnx",
    }
    assert "# A comment stays" in (place / "elsewhere/study.yaml").read_text()


def test_a_path_that_cannot_be_rewritten_is_refused(place: Path) -> None:
    study = place / "work/studies/study.yaml"
    study.write_text('{study: packed, models: ["..\\x2fbeside/b.onnx"], tuners: [none]}')

    with pytest.raises(StudyError, match="models: cannot be sent as it is written"):
        pack(study, place / "work/studies/cluster.yaml", place / "job")


def test_a_tuner_of_ones_own_comes_along(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = place / "modules"
    modules.mkdir()
    source = """
class Mine:
    def __init__(self, options, seed): ...
    def search(self, workload, space): ...
"""
    (modules / "mine_of_the_test.py").write_text(source)
    monkeypatch.syspath_prepend(str(modules))
    study = place / "work/studies/study.yaml"
    study.write_text("{study: packed, models: [nets/in.onnx], tuners: ['mine_of_the_test:Mine']}")

    pack(study, place / "work/studies/cluster.yaml", place / "job")

    assert (place / "job/mine_of_the_test.py").read_text() == source
    sys.modules.pop("mine_of_the_test", None)


def test_weights_come_along_whatever_they_are_called(place: Path) -> None:
    folder = place / "work/studies/nets"
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="parts/weights.bin")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    add = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    network = onnx.helper.make_model(onnx.helper.make_graph([add], "g", [x], [], [weights]))
    (folder / "apart.onnx").write_bytes(network.SerializeToString())
    (folder / "parts").mkdir()
    (folder / "parts" / "weights.bin").write_bytes(b"1234")
    study = place / "work/studies/study.yaml"
    study.write_text(f"{{study: packed, models: [nets/apart.onnx, {{path: {folder}/apart.onnx, name: far}}]}}")

    pack(study, place / "work/studies/cluster.yaml", place / "job")

    assert (place / "job/nets/parts/weights.bin").read_bytes() == b"1234"
    assert (place / "job/models-of-the-job/1/parts/weights.bin").read_bytes() == b"1234"


def test_an_importer_of_ones_own_comes_along_with_its_loader(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = place / "modules"
    modules.mkdir()
    source = """
from sweep.study.importers.importer import FileImporter
OWN = FileImporter(name="own", title="a net", suffixes=(".own",), loader="loader_of_the_test:Loader")
"""
    (modules / "importer_of_the_test.py").write_text(source)
    (modules / "loader_of_the_test.py").write_text("class Loader: ...")
    monkeypatch.syspath_prepend(str(modules))
    (place / "work/studies/nets/net.own").write_text("a network")
    study = place / "work/studies/study.yaml"
    study.write_text("{study: packed, models: [{path: nets/net.own, importer: 'importer_of_the_test:OWN'}]}")

    pack(study, place / "work/studies/cluster.yaml", place / "job")

    packed = {"importer_of_the_test.py", "loader_of_the_test.py", "nets/net.own"}
    assert packed < _files(place / "job")
    sys.modules.pop("importer_of_the_test", None)


def test_more_than_a_job_carries_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "_MOST_BYTES", 100)

    with pytest.raises(StudyError, match="models: come to 0 MB, more than a job can carry"):
        pack(place / "work/studies/study.yaml", place / "work/studies/cluster.yaml", place / "job")


def test_a_cluster_file_of_the_wrong_form_is_refused_here(place: Path) -> None:
    (place / "work/studies/cluster.yaml").write_text("{name: far, engine: rays}")

    with pytest.raises(StudyError, match="engine: 'rays' is not known here"):
        pack(place / "work/studies/study.yaml", place / "work/studies/cluster.yaml", place / "job")


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        ({"out": "s3://AKIA:hun/ter2@bucket/x"}, "hun/ter2"),
        ({"options": ["--warm-start", "s3://AKIA:hunter2@bucket/x"]}, "hunter2"),
        ({"options": ["--out=s3://bucket/x?secret_key=hunter2"]}, "hunter2"),
        ({"python": "env AWS_SECRET_ACCESS_KEY=hunter2 python"}, "hunter2"),
    ],
)
def test_a_secret_is_not_sent(place: Path, options: dict[str, Any], secret: str) -> None:
    """Ray shows the command of a job, its metadata and its log to everybody who sees the dashboard."""
    with pytest.raises(StudyError, match="has a secret, which a job would show") as refused:
        submit.submit(place / "work/studies/study.yaml", place / "work/studies/cluster.yaml", **options)
    assert secret not in str(refused.value)
    assert "docs/operations.md" in str(refused.value)


def test_inputs_of_two_files_of_one_name_come_along_both(tmp_path: Path) -> None:
    """Two inputs of a network, from files that have the same name in two folders elsewhere."""
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "sum", info[:2], info[2:])
    study = tmp_path / "studies"
    for number, folder in enumerate((tmp_path / "one", tmp_path / "two")):
        folder.mkdir()
        np.savez(folder / "in.npz", **{name: np.full(2, number, "float32") for name in ("a", "b")})
    study.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), study / "sum.onnx")
    inputs = "{a: {npz: ../one/in.npz}, b: {npz: ../two/in.npz}}"
    (study / "study.yaml").write_text(f"study: s\nmodels: [{{path: sum.onnx, inputs: {inputs}}}]\n")
    (study / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "job").mkdir()
    there, _ = pack(study / "study.yaml", study / "cluster.yaml", tmp_path / "job")
    (model,) = there.models
    files = {name: one.file for name, one in model.given.items() if one.file is not None}
    assert {name: np.load(file)[name].tolist() for name, file in files.items()} == {"a": [0, 0], "b": [1, 1]}


def test_data_sets_come_along(place: Path) -> None:
    study = place / "work/studies"
    np.savez(place / "far/digits.npz", x=np.zeros((2, 3, 8, 8)), y=[0, 1])
    (study / "pets/cat").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(study / "pets/cat/one.png")
    text = (study / "study.yaml").read_text()
    far = f"datasets: {{far: {{npz: {place}/far/digits.npz}}, pets: {{images: pets}}}}\nevaluate: {{dataset: far}}\n"
    (study / "study.yaml").write_text(text + far)
    here = load_study(study / "study.yaml")

    there, _ = pack(study / "study.yaml", study / "cluster.yaml", place / "job")

    moved = shutil.move(place / "job", place / "elsewhere")
    shutil.rmtree(place / "work")
    shutil.rmtree(place / "far")
    again = load_study(Path(moved) / there.path.name)
    assert again.datasets == here.datasets
    assert all(Path(file).exists() for one in again.datasets.values() for file in one.files.values())


@pytest.mark.parametrize("table", ["../beside/saved", "../beside/saved/ranges.json", "tables", "tables/ranges.json"])
def test_a_saved_table_comes_along_without_its_network(place: Path, table: str) -> None:
    study = place / "work/studies/study.yaml"
    folder = study.parent / (Path(table).parent if table.endswith("json") else table)
    folder.mkdir(parents=True)
    (folder / "ranges.json").write_text('{"activations": {"x": {"min": 0, "max": 1}}}')
    np.savez(folder / "histograms.npz", histograms=np.ones((1, 4096), np.int64))
    write_tiny(folder / "network.onnx")
    study.write_text(f"{{study: packed, models: [nets/in.onnx], calibration: {{table: {table}}}}}")
    here = load_study(study)

    there, _ = pack(study, place / "work/studies/cluster.yaml", place / "job")

    assert there.calibration == here.calibration
    assert there.calibration.tables[""].ranges.is_relative_to(place / "job")
    assert not [name for name in _files(place / "job") if name.endswith("network.onnx")]
