"""Models of formats from outside the package go all the way: study file, ids, import, lowering, build, measurement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sweep.api.commands.submit import pack
from sweep.api.written_studies.single_model_study import SingleModelStudy
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Stage
from sweep.study.gate import load_study
from sweep.study.importers.importer_registry import IMPORTERS
from sweep.study.spec import Study
from tests.end_to_end.place import CLUSTER_ALONE, Place
from tests.planning.grids import cluster
from tests.seams.installed import install_toys
from tests.seams.toy_importer import PERCEPTRON, write_perceptron

STUDY = """
study: toy-importers
final: null
models: [net.mlp, {path: net.graph, name: net-2, importer: "tests.seams.toy_importer:TEXT"}]
opt_levels: [0]
axes: {batch: [1, 4]}
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0, rounds: 1}
"""
TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
text (float[N, 6] x) => (float[N, 6] y)
<float[6] bias = {1, 2, 3, 4, 5, 6}>
{ s = Add(x, bias) y = Relu(s) }
"""
ONE = "study: s\nmodels: [net.mlp]\n"


@pytest.fixture
def perceptron() -> Iterator[None]:
    """The importer is there, as if a package had brought it."""
    with IMPORTERS.registered("perceptron", PERCEPTRON):
        yield


def written(folder: Path, text: str = ONE, seed: int = 0) -> Study:
    write_perceptron(folder / "net.mlp", seed=seed)
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.yaml")


def imports(study: Study) -> list[Stage]:
    return [stage for stage in make_plan(study, cluster()).stages.values() if stage.kind == "import"]


# -- planning ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("perceptron")
def test_it_claims_its_files_and_names_itself_in_the_stage(tmp_path: Path) -> None:
    study = written(tmp_path)
    (model,) = study.models
    assert (model.name, model.importer, model.formats, model.path) == ("net", "perceptron", (), tmp_path / "net.mlp")
    (stage,) = imports(study)
    assert stage.options["importer"] == "perceptron"
    assert "weights" not in stage.options
    assert stage.hints["loader"] == "tests.seams.toy_importer:PerceptronLoader"


@pytest.mark.usefixtures("perceptron")
def test_another_content_is_another_stage(tmp_path: Path) -> None:
    assert imports(written(tmp_path))[0].id == imports(written(tmp_path))[0].id
    assert imports(written(tmp_path))[0].id != imports(written(tmp_path, seed=1))[0].id


@pytest.mark.usefixtures("perceptron")
def test_a_runtime_that_cannot_read_its_models_has_a_row_with_the_reason(tmp_path: Path) -> None:
    plan = make_plan(written(tmp_path, "study: s\nmodels: [net.mlp, onnx-light:squeezenet]\n"), cluster())
    rivals = {planned.cell.model: planned for planned in plan.cells if planned.cell.runtime == "onnxruntime"}
    assert {model: (bool(one.stages), one.refusal) for model, one in rivals.items()} == {
        "net": (False, "it opens onnx; the importer perceptron leaves none"),
        "squeezenet": (True, ""),
    }
    assert {entry.reason for entry in plan.left_out if entry.what.startswith("onnxruntime")} == {
        "it opens onnx; the importer perceptron leaves none"
    }


def test_without_the_package_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"models\[0\]: is not a model file .*; allowed: \.onnx, onnx-light:NAME, "):
        written(tmp_path)


@pytest.mark.usefixtures("perceptron")
def test_what_it_claims_is_listed_where_nothing_claims_a_path(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"allowed: \.onnx, onnx-light:NAME, .* or \.mlp$"):
        written(tmp_path, "study: s\nmodels: [net.xyz]\n")


@pytest.mark.parametrize(
    ("importer", "problem"),
    [
        ("percepton", r"models\[0\]\.importer: .* did you mean 'perceptron'\?.*allowed: onnx, .*perceptron"),
        ("no_such_module:X", r"models\[0\]\.importer: cannot be imported: ModuleNotFoundError"),
        ("tests.seams.toy_importer:GONE", r"models\[0\]\.importer: cannot be imported: AttributeError"),
        ("tests.seams.toy_importer:TextLoader", r"models\[0\]\.importer: is no importer but type"),
    ],
)
@pytest.mark.usefixtures("perceptron")
def test_an_importer_that_is_not_there_is_refused_in_a_line(tmp_path: Path, importer: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem) as refused:
        written(tmp_path, f"study: s\nmodels: [{{path: net.mlp, importer: '{importer}'}}]\n")
    assert "\n" not in str(refused.value)


def test_an_installed_one_that_is_broken_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_toys(tmp_path, "sweep.importers", {"broken": "no_such_module:X"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert written(tmp_path, "study: s\nmodels: [onnx-light:squeezenet]\n").models[0].importer == "onnx"
    with pytest.raises(StudyError, match="is an importer that cannot be loaded: ModuleNotFoundError"):
        written(tmp_path)


def test_a_broken_one_is_not_in_the_way_of_another_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = {"broken": "no_such_module:X", "perceptron": "tests.seams.toy_importer:PERCEPTRON"}
    install_toys(tmp_path, "sweep.importers", toys)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(IMPORTERS, "_loaded", {})  # what is loaded here is forgotten after the test
    assert written(tmp_path).models[0].importer == "perceptron"


def test_the_study_can_say_which_importer_reads_a_file(tmp_path: Path) -> None:
    place = "tests.seams.toy_importer:PERCEPTRON"
    study = written(tmp_path, f"study: s\nmodels: [{{path: net.mlp, importer: '{place}'}}]\n")
    assert study.models[0].importer == place
    assert imports(study)[0].options["importer"] == place


@pytest.mark.usefixtures("perceptron")
def test_a_job_carries_its_files_and_one_model_can_be_tuned_alone(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    study = written(tmp_path / "here")
    (tmp_path / "cluster.yaml").write_text("{name: c, devices: [{key: a}]}")
    there, _ = pack(study.path, tmp_path / "cluster.yaml", tmp_path / "there")
    assert there.models[0].path == tmp_path / "there" / "net.mlp"
    alone = SingleModelStudy("nets/my.mlp", "native", "none", "a")
    assert (alone.name, alone.as_study()["models"]) == ("tune-my-a", [str(Path("nets/my.mlp").absolute())])


# -- for real ---------------------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.tvm
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_its_models_are_measured(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", STUDY, CLUSTER_ALONE.format(engine="inline"))
    install_toys(place.site, "sweep.importers", {"perceptron": "tests.seams.toy_importer:PERCEPTRON"})
    write_perceptron(place.folder / "net.mlp")
    place.write("net.graph", TEXT)
    place.write("bad.mlp", "no perceptron")

    ended = place.run()

    assert ended.code == 0, f"{ended.out}\n{ended.err}"
    rows = pd.read_parquet(place.out / "results.parquet")
    counts = rows.groupby(["model", "runtime"]).size().to_dict()
    rivals = {("net", "onnxruntime"): 2, ("net-2", "onnxruntime"): 2}
    assert counts == {("net", "tvm"): 2, ("net-2", "tvm"): 2, **rivals}
    refused = rows[rows.error_class == "Refused"]
    assert set(zip(refused.model, refused.runtime, refused.status, strict=True)) == {("net", "onnxruntime", "skipped")}
    assert (rows.drop(refused.index).latency_ms_median > 0).all()
    assert rows.output_max_abs_diff.max() < 1e-4, "compared with numpy's and ONNX Runtime's answers"
    perceptrons = [
        path for path in (place.out / "artifacts" / "import").iterdir() if not (path / "model.onnx").exists()
    ]
    assert len(perceptrons) == 2
    assert len({next(path.glob("weights-*.bin")).stat().st_ino for path in perceptrons}) == 1
    shapes = {np.load(path / "reference.npz")["output_0"].shape for path in perceptrons}
    assert shapes == {(1, 5), (4, 5)}
    done = place.done()
    assert place.run().code == 0
    assert place.done() == done
