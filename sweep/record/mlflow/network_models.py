"""Logs the bundles of a sweep's best cells as MLflow models: `mlflow.pyfunc.load_model` runs them where TVM is there.

A model is its bundle: where the store has one of the same manifest it is left alone, and only told that it is the best.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.analysis.rows.columns import metric_columns
from sweep.plain_text import as_markdown
from sweep.record.mlflow.scratch import scratch
from sweep.study.spec import TVM

__all__ = ["ModelStore", "log_models", "name_of", "quiet"]

_CODE = Path(__file__).with_name("bundle_files") / "network_model.py"
_SWEEP, _CONTENT, _BEST, _ABOUT = "sweep.id", "sweep.content", "sweep.is_best", "mlflow.note.content"
_EXAMPLE_VALUES = 1 << 20
"""Of all inputs together, up to which they are kept as an example: MLflow writes them as JSON."""


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Where models go: a client of the store, the sweep's experiment, and the run of each cell."""

    client: Any
    experiment_id: str
    sweep_id: str
    runs: Mapping[str, str]
    """By the cell's id."""


def log_models(store: ModelStore, bundles: Sequence[Path], register: str | None = None) -> list[str]:
    """Log each bundle below the run of its cell, and give the URIs: `models:/...`.

    register: a name in the registry, of which it becomes a version; of several bundles each has a name of its own that
    begins so. Those of the sweep that are no longer among the best stay, and are told so by a tag.
    """
    known = {model.tags[_CONTENT]: model for model in _known(store)}
    uris = []
    for bundle in bundles:
        text = (bundle / "manifest.json").read_text(encoding="utf-8")
        manifest, content = json.loads(text), hashlib.sha256(text.encode()).hexdigest()[:16]
        model = known.pop(content, None)
        if model is None:
            model = _log(store, bundle, manifest, content)
        elif model.tags.get(_BEST) != "true":
            store.client.set_logged_model_tags(model.model_id, {_BEST: "true"})
        if register is not None:
            name = register if len(bundles) == 1 else f"{register}-{name_of(manifest)}"
            _register(store, name, model, manifest, content)
        uris.append(str(model.model_uri))
    for former in known.values():
        if former.tags.get(_BEST) == "true":
            store.client.set_logged_model_tags(former.model_id, {_BEST: "false"})
    return uris


def name_of(manifest: Mapping[str, Any]) -> str:
    """A model's name: network and device, with the characters that MLflow takes, and the batch where it is
    not 1 or its file's own.
    """
    axes = manifest["axes"]
    batch = "" if axes["batch"] in (1, None) else f"-batch{axes['batch']}"
    return re.sub(r"[^A-Za-z0-9_+=-]+", "-", f"{axes['model']}-{axes['device']}{batch}")


def _known(store: ModelStore) -> Iterator[Any]:
    token = None
    while True:
        page = store.client.search_logged_models(
            [store.experiment_id], f"tags.`{_SWEEP}` = '{store.sweep_id}'", page_token=token
        )
        yield from (model for model in page if str(model.status) == "READY" and _CONTENT in model.tags)
        token = page.token
        if not token:
            return


def _log(store: ModelStore, bundle: Path, manifest: Mapping[str, Any], content: str) -> Any:
    from mlflow.entities import LoggedModelOutput

    run_id = store.runs.get(manifest["chosen"]["cell_id"])
    run = None if run_id is None else store.client.get_run(run_id)
    tags = {**_tags(manifest), _ABOUT: _about(manifest), _SWEEP: store.sweep_id, _CONTENT: content, _BEST: "true"}
    params = _axes(manifest) if run is None else dict(run.data.params)
    model = store.client.create_logged_model(
        store.experiment_id, name_of(manifest), source_run_id=run_id, tags=tags, params=params, model_type=TVM
    )
    with scratch() as folder, quiet():
        _save(folder / "model", bundle, manifest, model.model_id, run_id)
        store.client.log_model_artifacts(model.model_id, str(folder / "model"))
    store.client.finalize_logged_model(model.model_id, "READY")
    if run is not None:
        store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        store.client.log_batch(run_id, metrics=list(_metrics(store.client, run, model.model_id)))
    return model


def _metrics(client: Any, run: Any, model_id: str) -> Iterator[Any]:
    """The columns that the run of a model's cell has as metrics, for the model's own page and charts: with the run's
    own steps and times, so that the run has them once.
    """
    from mlflow.entities import Metric

    run_id = run.info.run_id
    for name in {column.metric for column in metric_columns()} & run.data.metrics.keys():
        for known in client.get_metric_history(run_id, name)[-1:]:
            yield Metric(name, known.value, known.timestamp, known.step, model_id=model_id, run_id=run_id)


def _axes(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {axis: str(value) for axis, value in manifest["axes"].items()}


def _save(target: Path, bundle: Path, manifest: Mapping[str, Any], model_id: str, run_id: str | None) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model

    versions = manifest["versions"]
    pinned = {package: versions[package] for package in ("apache-tvm", "apache-tvm-ffi") if versions.get(package)}
    pinned["numpy"] = metadata.version("numpy")
    mlflow.pyfunc.save_model(
        target,
        python_model=str(_CODE),
        artifacts={"bundle": str(bundle)},
        signature=_signature(manifest),
        input_example=_example(bundle, manifest),
        pip_requirements=[f"{package}=={version}" for package, version in pinned.items()],
        mlflow_model=Model(run_id=run_id, model_id=model_id),
    )


def _signature(manifest: Mapping[str, Any]) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(entries: Sequence[Mapping[str, Any]], prefix: str) -> Any:
        return Schema(
            [
                TensorSpec(np.dtype(entry["dtype"]), tuple(entry["shape"]), entry["name"] or f"{prefix}_{index}")
                for index, entry in enumerate(entries)
            ]
        )

    return ModelSignature(schema(manifest["inputs"], "input"), schema(manifest["outputs"], "output"))


def _example(bundle: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    import numpy as np

    with np.load(bundle / "inputs.npz") as stored:
        example = {entry["name"]: stored[entry["name"]] for entry in manifest["inputs"]}
    return example if sum(value.size for value in example.values()) <= _EXAMPLE_VALUES else None


def _tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    latency, chosen = manifest["latency"], manifest["chosen"]
    tags = {
        "sweep.cell_id": chosen["cell_id"],
        "sweep.cell": chosen["cell"],
        "sweep.chosen": chosen["how"],
        "sweep.latency": latency["text"],
        "sweep.status": "tainted" if latency["disturbed"] else "done",
    }
    return tags | ({"sweep.error": latency["disturbed"][:4000]} if latency["disturbed"] else {})


def _about(manifest: Mapping[str, Any]) -> str:
    """What MLflow shows as a description, which it takes for Markdown."""
    return as_markdown(f"{manifest['chosen']['cell']}: {manifest['latency']['text']}")


def _register(store: ModelStore, name: str, model: Any, manifest: Mapping[str, Any], content: str) -> None:
    """A version of the registered model; none where the latest is this very one."""
    from mlflow.exceptions import MlflowException

    try:
        store.client.get_registered_model(name)
    except MlflowException:
        store.client.create_registered_model(name, tags={"sweep.study": manifest["chosen"]["study"]})
    versions = store.client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"], max_results=1)
    if versions and versions[0].tags.get(_CONTENT) == content:
        return
    run_id = store.runs.get(manifest["chosen"]["cell_id"])
    store.client.create_model_version(
        name,
        model.artifact_location,  # of `models:/...` the store would ask MLflow's global one, and make it here
        run_id=run_id,
        model_id=model.model_id,
        tags={**_tags(manifest), _CONTENT: content},
        description=_about(manifest),
        await_creation_for=0,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without what MLflow says while it saves: of type hints, of requirements, of files that it copies."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
