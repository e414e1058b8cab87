"""Writes runs to a store through MLflow's own client, which works with every store, by several calls for each run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from sweep.planning.stages.evaluate import EVALUATE
from sweep.record.mlflow.confusion_picture import CONFUSION_FILE, confusion_svg
from sweep.record.mlflow.run_draft import ModelFile, RunDraft
from sweep.record.mlflow.run_values import Point
from sweep.record.mlflow.scratch import scratch

__all__ = ["CONTEXT", "KNOWN_TAGS", "ClientWriter", "Writer", "dataset_source", "keep"]

_BATCH = 1000
"""Metrics that one call of log_batch takes."""
_AT_ONCE = 4
"""Runs written side by side: each waits for the server most of the time."""
CONTEXT = "network"
"""What a dataset is to its run."""
KNOWN_TAGS = {"mlflow.source.name": "sweep", "mlflow.source.type": "JOB", "mlflow.user": "sweep"}


class Writer(Protocol):
    """Writes runs; `tests/record/mlflow/test_writers.py` is the contract.

    A run that was written has ended, and is found by its tags. Where a call raises, any part of what it was to write
    may be there.
    """

    is_atomic: bool
    """Whether no part is there, or all of it."""

    def write(self, experiment_id: str, parent_id: str, drafts: Sequence[RunDraft]) -> list[str]:
        """Write runs below a parent; their ids, in order."""

    def add_points(self, points: Mapping[str, Sequence[Point]]) -> None:
        """Add metrics to runs, by their ids."""


class ClientWriter:
    """Writes runs by calls of `mlflow.MlflowClient`."""

    is_atomic = False

    def __init__(self, client: Any) -> None:
        self._client = client
        self._models: set[ModelFile] = set()
        """Known to be in the store."""

    def create(self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        """A run that has begun."""
        return str(self._create(experiment_id, name, start_ms, tags).run_id)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def write(self, experiment_id: str, parent_id: str, drafts: Sequence[RunDraft]) -> list[str]:
        """Several side by side."""

        def write(draft: RunDraft) -> str:
            return self._write(experiment_id, parent_id, draft)

        # Two runs at once that bring the same new dataset are one too many for MLflow
        first = {draft.model: draft for draft in reversed(drafts) if draft.model not in self._models}.values()
        run_ids = {draft.cell_id: write(draft) for draft in first}
        self._models |= {draft.model for draft in first if draft.model is not None}
        others = [draft for draft in drafts if draft.cell_id not in run_ids]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            run_ids |= zip((draft.cell_id for draft in others), threads.map(write, others), strict=True)
        return [run_ids[draft.cell_id] for draft in drafts]

    def add_points(self, points: Mapping[str, Sequence[Point]]) -> None:
        """A call or more for each run."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(lambda run_id: self._log(run_id, points[run_id], {}), points))

    def _write(self, experiment_id: str, parent_id: str, draft: RunDraft) -> str:
        tags = {**draft.tags, "mlflow.parentRunId": parent_id}
        info = self._create(experiment_id, draft.name, draft.start_ms, tags)
        run_id = str(info.run_id)
        self._log(run_id, draft.points, draft.params)
        if draft.model is not None:
            self._client.log_inputs(run_id, datasets=[_dataset_input(draft.model)])
        # Not by the client, which would ask a server for the whole run to learn where its artifacts lie
        keep(draft.artifact, info.artifact_uri, self._client.tracking_uri)
        self._client.set_terminated(run_id, draft.status, draft.end_ms)
        return run_id

    def _create(self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]) -> Any:
        return self._client.create_run(experiment_id, start_ms, {**KNOWN_TAGS, **tags}, run_name=name).info

    def _log(self, run_id: str, points: Sequence[Point], params: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param

        given = [Param(key, value) for key, value in params.items()]
        for start in range(0, max(1, len(points)), _BATCH):
            batch = [Metric(one.name, one.value, one.t_ms, one.step) for one in points[start : start + _BATCH]]
            self._client.log_batch(run_id, metrics=batch, params=given if start == 0 else [])


def keep(artifact: Mapping[str, Any], home: str, tracking_uri: str | None = None) -> None:
    """Write `cell.json`, and what can be drawn of it, among a run's artifacts.

    home: their URI. tracking_uri: of the server that takes them.
    """
    files = {"cell.json": json.dumps(artifact, indent=2, default=str)}
    if (picture := confusion_svg(artifact.get("stages", {}).get(EVALUATE, {}))) is not None:
        files[CONFUSION_FILE] = picture
    if home.startswith(("file:", "/")):  # without MLflow's round about a temporary file
        from mlflow.utils.file_utils import local_file_uri_to_path

        folder = Path(local_file_uri_to_path(home))
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with scratch() as folder:
        for name, text in files.items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            get_artifact_repository(home, tracking_uri).log_artifact(str(path))


def dataset_source(model: ModelFile) -> tuple[str, str]:
    """Type and content of a dataset's source, as MLflow has them."""
    return "local", json.dumps({"uri": model.source})


def _dataset_input(model: ModelFile) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind, source = dataset_source(model)
    return DatasetInput(Dataset(model.name, model.digest, kind, source), [InputTag("mlflow.data.context", CONTEXT)])
