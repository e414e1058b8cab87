"""A predictor in MLflow's registry: its signature, one version for one file, and the same answers when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sweep.api.predicting.device_models import fit_predictor_to_tables, register
from sweep.errors import StudyError
from sweep.predict.layer_geometry import stack_layers
from sweep.predict.saved_predictor import load_predictor
from tests.predict.devices import rows_of, write_tables

pytestmark = [pytest.mark.integration]


def test_a_registered_predictor_is_loaded_and_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    layers, measurements = write_tables(tmp_path, ("plain", "separable"))
    path, uri = tmp_path / "p.json", f"sqlite:///{tmp_path / 'store.db'}"
    fit_predictor_to_tables(layers, measurements, path, variable="latency", mode="inference")

    assert register(path, "tx2-latency", uri) == "models:/tx2-latency/1"
    assert register(path, "tx2-latency", uri) == "models:/tx2-latency/1", "the same file is the same version"
    fit_predictor_to_tables(layers, measurements, path, variable="latency", mode="inference", coverage=0.8)
    assert register(path, "tx2-latency", uri) == "models:/tx2-latency/2"

    assert not (tmp_path / "mlflow.db").exists(), "MLflow's own store in the working folder is not asked"

    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    loaded = mlflow.pyfunc.load_model("models:/tx2-latency/2")
    signature = loaded.metadata.signature
    assert signature.inputs.input_names() == ["layers", "batch"]
    assert signature.outputs.input_names() == ["value", "low", "high", "abstains"]
    rows = rows_of("plain", 30.0)
    asked = pd.DataFrame({"layers": [json.dumps(rows)] * 2, "batch": [4.0, 16.0]})
    told = loaded.predict(asked)
    expected = load_predictor(path)[0].predict([(stack_layers(rows), batch) for batch in (4.0, 16.0)])
    assert np.allclose(told["value"], expected.value)
    assert (told["low"] < told["value"]).all()
    assert not told["abstains"].any()


def test_tables_have_no_store_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--mlflow: is needed beside --register"):
        register(tmp_path / "p.json", "p", None)
