"""An import stands by the hash that its model had when the study was read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import ImportFailed
from sweep.planning.planner import make_plan
from sweep.study.gate import study_of
from sweep.toolchain.models.unchanged_files import unless_changed
from tests.planning.grids import cluster, device
from tests.toolchain.conftest import Run, light_model, write_small_network

PRUNED = {"from": "net", "prune": {"method": "l1", "levels": [0.5]}}


def _imports(folder: Path, **further: Any) -> dict[str, Any]:
    document = {"study": "a", "models": [{"path": "net.onnx"}], "runtimes": ["tvm"], **further}
    plan = make_plan(study_of(document, folder), cluster(device("one")))
    return {stage.hints["name"]: stage for stage in plan.stages.values() if stage.kind == "import"}


@pytest.mark.integration
@pytest.mark.tvm
def test_a_model_that_was_replaced_after_the_study_was_read_is_not_imported(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_small_network(path)
    stage = _imports(tmp_path)["net"]
    asked = {"options": stage.options, "hints": stage.hints, "out_dir": str(tmp_path / "out")}
    assert run("import_model", **asked)["params_bytes"] > 0
    shutil.rmtree(tmp_path / "out")

    for content in (light_model("squeezenet").read_bytes(), path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ImportFailed) as raised:
            run("import_model", **asked)
        assert str(raised.value).endswith(
            f"{path} is not what it was when the study was read: another `sweep run` takes it as it is now"
        )
        assert not (tmp_path / "out").exists(), "nothing is kept under the id of another network"


def test_what_is_made_of_a_model_rests_on_its_file_too(tmp_path: Path) -> None:
    write_small_network(tmp_path / "net.onnx")
    imports = _imports(tmp_path, models=["net.onnx", PRUNED])
    assert set(imports) == {"net", "net-l1-50"}
    assert all(stage.hints["files"] == [str(tmp_path / "net.onnx")] for stage in imports.values())


def test_models_of_packages_are_known_by_their_versions() -> None:
    (stage,) = _imports(Path(), models=["onnx-light:squeezenet"]).values()
    assert "files" not in stage.hints


def test_a_file_that_belongs_to_a_model_counts_and_one_that_is_gone_is_named(tmp_path: Path) -> None:
    files = [tmp_path / "net.onnx", tmp_path / "net.onnx.data"]
    for file in files:
        file.write_bytes(b"a")
    named = list(map(str, files))
    changed = r"net.onnx is not what it was .*, or a file of its 2 is not: another"
    with pytest.raises(ImportFailed, match=changed), unless_changed(named, {"sha256": "0"}):
        pass
    files[1].unlink()
    gone = r"net.onnx.data cannot be read: No such file"
    with pytest.raises(ImportFailed, match=gone), unless_changed(named, {"sha256": "0"}):
        pass
