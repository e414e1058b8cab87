"""The model of the best cell in a real MLflow store: its answer, its registered version, and a folder that moved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking.client import MlflowClient

import sweep
from sweep.record.mlflow.tracking_store import embedded_store
from tests.end_to_end.conftest import Finished

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.mlflow, pytest.mark.timeout(600)]

LOADS = """
import json, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sweep", "onnx", "onnxruntime", "ray"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
import mlflow, numpy as np
store, uri, inputs, outputs = sys.argv[1:]
mlflow.set_tracking_uri(store)
model = mlflow.pyfunc.load_model(uri)
with np.load(inputs) as given:
    answer = model.predict({name: given[name] for name in given.files})
np.savez(outputs, **answer)
print(json.dumps(model.metadata.signature.to_dict()))
"""


@pytest.fixture(scope="module")
def moved(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a sweep whose former place is gone, as far as its store can tell."""
    first = Path(shutil.copytree(finished.out, tmp_path_factory.mktemp("models") / "first"))
    sweep.mirror(first, register="tiny-net")
    return Path(shutil.move(first, first.with_name("moved")))


def store_of(folder: Path) -> MlflowClient:
    uri = embedded_store(folder)[0]
    return MlflowClient(uri, registry_uri=uri)


def test_a_run_logs_the_model_of_its_best_cell(finished: Finished) -> None:
    client = store_of(finished.out)
    (experiment,) = client.search_experiments()
    models = client.search_logged_models([experiment.experiment_id])
    assert sorted(model.name for model in models) == ["tiny-here", "tiny-there"], "one of each device"
    (model,) = (model for model in models if model.name == "tiny-here")
    run = client.get_run(model.source_run_id)
    assert (model.name, str(model.status)) == ("tiny-here", "READY")
    assert model.tags["sweep.cell_id"] == run.data.tags["sweep.cell_id"]
    assert model.tags["sweep.status"] == run.data.tags["sweep.status"]
    assert model.params == run.data.params
    assert model.tags["mlflow.note.content"].startswith("tiny ")
    shown = {metric.key: metric.value for metric in model.metrics}
    assert {"latency_ms_median", "spread/latency_ms_ci_low", "spread/latency_ms_ci_high"} <= {*shown}
    assert shown.items() <= run.data.metrics.items()
    assert all(len(client.get_metric_history(run.info.run_id, name)) == 1 for name in shown)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert not (finished.out / ".mlflow-bundles").exists()


def test_it_gives_the_expected_output_also_where_the_folder_was_moved(moved: Path, tmp_path: Path) -> None:
    sweep.ui_server(moved, port=0)  # as `sweep ui` does before it starts the server
    client = store_of(moved)
    (version,) = client.search_model_versions("name = 'tiny-net-tiny-here'")
    requirements = list(moved.glob("mlartifacts/models/*/artifacts/requirements.txt"))
    assert len(requirements) == 2
    for pinned in (path.read_text().split() for path in requirements):
        assert [line.partition("==")[0] for line in pinned] == ["mlflow", "apache-tvm", "apache-tvm-ffi", "numpy"]
    (inputs,) = moved.glob("artifacts/import/*/inputs.npz")
    (reference,) = moved.glob("artifacts/import/*/reference.npz")
    command = [sys.executable, "-I", "-c", LOADS, embedded_store(moved)[0], f"models:/{version.name}/{version.version}"]
    ended = subprocess.run(
        [*command, str(inputs), str(tmp_path / "out.npz")], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert "type hints" not in ended.stderr
    assert [entry["name"] for entry in json.loads(json.loads(ended.stdout)["inputs"])] == ["x"]
    with np.load(tmp_path / "out.npz") as answer, np.load(reference) as expected:
        np.testing.assert_allclose(answer["y"], expected["output_0"], rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.glob("ml*")), "no store beside the sweep's own"


def test_the_same_again_logs_and_registers_nothing_new(moved: Path) -> None:
    versions = {name: f"name = 'tiny-net-{name}'" for name in ("tiny-here", "tiny-there")}
    before = {name: store_of(moved).search_model_versions(found) for name, found in versions.items()}
    again = sweep.mirror(moved, register="tiny-net")
    logged = [path.name for path in moved.glob("mlartifacts/models/*")]
    assert sorted(again.models) == sorted(f"models:/{name}" for name in logged)
    assert len(logged) == 2
    for name, found in versions.items():
        assert len(store_of(moved).search_model_versions(found)) == len(before[name]) == 1
