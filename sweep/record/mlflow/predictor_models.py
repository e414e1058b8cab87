"""Logs a predictor as an MLflow model with its signature, and makes it a version in the registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import RecordError
from sweep.installation import __version__
from sweep.record.mlflow.network_models import quiet
from sweep.record.mlflow.scratch import scratch
from sweep.record.mlflow.tracking_store import open_client, open_experiment, translated

__all__ = ["EXPERIMENT", "register_predictor"]

EXPERIMENT = "predictors"
_CODE = Path(__file__).with_name("bundle_files") / "predictor_model.py"
_CONTENT = "sweep.content"
_ABOUT = ("variable", "unit", "mode", "kind", "coverage", "made_by")
"""Of a predictor's file: params of the model, tags of its version."""


def register_predictor(path: Path, name: str, tracking_uri: str, artifact_root: str | None) -> str:
    """Log what `sweep predictor fit` wrote, and register it; gives `models:/NAME/VERSION`. A file that the latest
    version was made of already makes none.

    artifact_root: where the artifacts of a new experiment lie; None: where the store's server keeps them. Raises
    RecordError where the store cannot be reached, or refuses.
    """
    text = path.read_text(encoding="utf-8")
    about, content = json.loads(text), hashlib.sha256(text.encode()).hexdigest()[:16]
    tags = {_CONTENT: content, **{f"sweep.{key}": str(about[key]) for key in _ABOUT if key in about}}
    with translated(tracking_uri):
        client = open_client(tracking_uri)
        version = _latest(client, name)
        if version is not None and version.tags.get(_CONTENT) == content:
            return f"models:/{name}/{version.version}"
        experiment = open_experiment(client, EXPERIMENT, artifact_root, {})
        networks = sorted(set(about["training"]["network"]))
        params = {key: str(about[key]) for key in _ABOUT if key in about}
        params |= {"rows": str(len(about["training"]["ids"])), "networks": ", ".join(networks)[:500]}
        # A version without a run has its model looked up in MLflow's global store, which is another
        run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
        for key, value in params.items():
            client.log_param(run_id, key, value)
        model = client.create_logged_model(
            experiment, name, source_run_id=run_id, tags=tags, params=params, model_type="predictor"
        )
        with scratch() as folder, quiet():
            _save(folder / "model", path, about, model.model_id, run_id)
            client.log_model_artifacts(model.model_id, str(folder / "model"))
        client.finalize_logged_model(model.model_id, "READY")
        client.set_terminated(run_id)
        made = client.create_model_version(
            name, model.artifact_location, run_id=run_id, model_id=model.model_id, tags=tags, await_creation_for=0
        )
    return f"models:/{name}/{made.version}"


def _latest(client: Any, name: str) -> Any:
    """The latest version of a registered model, which is made where it is missing; None without any."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            raise RecordError(f"--register {name}: MLflow takes no such name: {error.message}") from error
    found = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"], max_results=1)
    return found[0] if found else None


def _save(target: Path, path: Path, about: Mapping[str, Any], model_id: str, run_id: str) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    asked = Schema([ColSpec("string", "layers"), ColSpec("double", "batch")])
    told = Schema([*(ColSpec("double", name) for name in ("value", "low", "high")), ColSpec("boolean", "abstains")])
    mlflow.pyfunc.save_model(
        target,
        python_model=str(_CODE),
        artifacts={"predictor": str(path)},
        signature=ModelSignature(asked, told),
        pip_requirements=[f"tvm-sweep=={__version__}"],
        metadata={"variable": about["variable"], "unit": about["unit"], "mode": about["mode"]},
        mlflow_model=Model(run_id=run_id, model_id=model_id),
    )
