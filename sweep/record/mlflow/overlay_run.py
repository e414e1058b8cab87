"""Writes an overlay as a run into MLflow, in the experiment of its study.

The files of the overlay are the run's artifacts, so the run can be thrown away and written anew. A run of the same
content is left alone, and a run of earlier content is replaced.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sweep.analysis.overlay.overlay import Overlay
from sweep.record.mlflow.run_values import metric_name
from sweep.record.mlflow.tracking_store import (
    bring_home,
    embedded_store,
    open_client,
    open_experiment,
    settle,
    translated,
)

__all__ = ["OverlayRun", "metrics_of", "record_overlay"]

_NAME_TAG, _CONTENT_TAG = "sweep.overlay", "sweep.overlay.content"


@dataclass(frozen=True, slots=True)
class OverlayRun:
    """The run that an overlay becomes: its sweep and study, the folder of its files, and its params."""

    sweep_dir: Path
    study: str
    files: Path
    """Its folder; the run has the folder's name."""
    params: Mapping[str, str] = field(default_factory=dict)


def record_overlay(found: Overlay, run: OverlayRun, tracking_uri: str | None = None) -> str:
    """Write the run and return its id. tracking_uri: None for the sweep's own store. Raises RecordError."""
    own_uri, artifact_root = embedded_store(run.sweep_dir)
    uri = tracking_uri or own_uri
    if tracking_uri is None:
        bring_home(uri, artifact_root)
    client = open_client(uri)
    metrics = metrics_of(found)
    per_layer = [float(layer.metric[layer.chosen]) for layer in found.layers if layer.chosen is not None]
    content = _hash([metrics, per_layer, dict(run.params), _contents(run.files)])
    with translated(uri):
        experiment = open_experiment(client, run.study, artifact_root if tracking_uri is None else None, {})
        identity = _hash([str(run.files.resolve())])
        for known in client.search_runs([experiment], f"tags.`{_NAME_TAG}` = '{identity}'"):
            if known.data.tags.get(_CONTENT_TAG) == content and known.info.status == "FINISHED":
                return str(known.info.run_id)
            client.delete_run(known.info.run_id)
        run_id = _write(client, experiment, run, {_NAME_TAG: identity, _CONTENT_TAG: content}, metrics, per_layer)
        settle(uri)
    return run_id


def metrics_of(found: Overlay) -> dict[str, float]:
    """What the run says in numbers. Names with a device's key are of that device; times in ms."""
    chosen = [layer for layer in found.layers if layer.chosen is not None]
    values = [float(layer.metric[layer.chosen]) for layer in chosen]
    told = {"layers": float(len(found.layers)), "layers_undecided": float(len(found.layers) - len(chosen))}
    if chosen:
        told |= {"M_mean": float(np.mean(values)), "M_median": float(np.median(values)), "M_max": max(values)}
        told |= {"M_per_device_mean": float(np.mean(values)) / len(found.merged.devices)}
        told |= {"regret_mean": found.merged.mean_regret}
        for column, key in enumerate(found.merged.devices):
            told[f"regret {key}"] = float(found.merged.regrets[column])
            told[f"estimate_ms {key}"] = float(found.merged.estimate_s[column]) * 1e3
            told[f"own_estimate_ms {key}"] = float(found.merged.best_s[column]) * 1e3
    for one in found.networks:
        row = one.as_row()
        named = {"network_ms": "merged_ms", "network_own_ms": "own_ms", "network_regret": "regret"}
        told |= {f"{name} {one.device}": row[column] for name, column in named.items() if row[column] is not None}
    return {f"overlay/{metric_name(name)}": value for name, value in told.items()}


def _write(
    client: Any,
    experiment: str,
    run: OverlayRun,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    per_layer: list[float],
) -> str:
    from mlflow.entities import Metric, Param

    now_ms = round(time.time() * 1e3)
    known = {"mlflow.source.name": "sweep overlay", "mlflow.source.type": "JOB", "mlflow.user": "sweep"}
    made = client.create_run(experiment, now_ms, {**known, **tags}, run_name=run.files.name)
    run_id = str(made.info.run_id)
    points = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
    # By layer, in the order of overlay.csv: a curve that shows where one configuration does not serve all
    points += [Metric("overlay/M", value, now_ms, step) for step, value in enumerate(per_layer)]
    client.log_batch(run_id, metrics=points, params=[Param(key, value) for key, value in run.params.items()])
    client.log_artifacts(run_id, str(run.files))
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".html"  # its pictures have ids of their own each time
    }


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
