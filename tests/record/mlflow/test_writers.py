"""What every writer leaves in a store: the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.record.mlflow.bulk_writer import BulkWriter, writer_for
from sweep.record.mlflow.client_writer import ClientWriter, Writer
from sweep.record.mlflow.run_draft import ModelFile, RunDraft, draft_of
from sweep.record.mlflow.run_values import Point
from sweep.record.mlflow.tracking_store import open_client
from tests.record.fixtures import STARTED_T, sweep_outcome

pytestmark = [pytest.mark.mlflow, pytest.mark.integration]

MODELS = {
    "squeezenet": ModelFile("squeezenet", "onnx-light:squeezenet", "01" * 16),
    "shufflenet": ModelFile("shufflenet", "models/shufflenet.onnx", "23" * 16),
}
KINDS = ("client", "bulk")
STARTED_T_MS = round(STARTED_T * 1e3)


class Store:
    """An experiment in a SQLite store, with a parent run and a writer."""

    def __init__(self, database: Path, kind: str, name: str) -> None:
        self.client = open_client(f"sqlite:///{database}")
        home = database.with_name("artifacts").as_uri()
        self.experiment = self.client.create_experiment(f"{kind} {name}", artifact_location=home)
        self.parent = self.client.create_run(self.experiment, run_name="parent").info.run_id
        store = self.client._tracking_client.store
        self.writer: Writer = ClientWriter(self.client) if kind == "client" else BulkWriter(store)

    def write(self, drafts: Sequence[RunDraft]) -> list[str]:
        return self.writer.write(self.experiment, self.parent, drafts)

    def contents(self) -> dict[str, Any]:
        """All that can be seen of each run, but for ids."""
        found = self.client.search_runs([self.experiment], f"tags.`mlflow.parentRunId` = '{self.parent}'")
        return {run.info.run_name: self._content(run) for run in found}

    def _content(self, run: Any) -> dict[str, Any]:
        info, run_id = run.info, run.info.run_id
        inputs = self.client.get_run(run_id).inputs.dataset_inputs
        return {
            "info": (info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage),
            "artifact_uri": info.artifact_uri.replace(run_id, "RUN"),
            "tags": {**run.data.tags, "mlflow.parentRunId": run.data.tags["mlflow.parentRunId"] == self.parent},
            "params": run.data.params,
            "metrics": run.data.metrics,
            "history": {name: self._history(run_id, name) for name in run.data.metrics},
            "datasets": [(vars(one.dataset), [(tag.key, tag.value) for tag in one.tags]) for one in inputs],
            "cell.json": Path(info.artifact_uri.removeprefix("file://"), "cell.json").read_text(),
        }

    def _history(self, run_id: str, name: str) -> list[tuple[int, int, float]]:
        found = self.client.get_metric_history(run_id, name)
        return sorted((one.step, one.timestamp, one.value) for one in found)


@pytest.fixture(scope="module")
def database(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(empty_store, tmp_path_factory.mktemp("writers")))


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, database: Path) -> Store:
    return Store(database, request.param, request.node.name)


def drafts(folder: Path, **changes: Any) -> list[RunDraft]:
    outcome = sweep_outcome(folder, models=tuple(MODELS), opt_levels=(3,), devices=("local-1",), **changes)
    return [draft_of(cell, MODELS[cell.cell.model], "sweeps/x", STARTED_T + 500) for cell in outcome.cells]


def test_every_writer_leaves_the_same(database: Path, tmp_path: Path) -> None:
    told: dict[str, Mapping[str, Any]] = {}
    for kind in KINDS:
        store = Store(database, kind, "same")
        cells = drafts(tmp_path)
        ids = store.write(cells)
        store.writer.add_points({run_id: [Point("speedup_vs_untuned", 2.0, 5)] for run_id in ids[:2]})
        told[kind] = store.contents()
        assert len(told[kind]) == len(cells) == len(set(ids))
    assert told["client"] == told["bulk"]


def test_ids_come_in_the_order_of_the_drafts(store: Store, tmp_path: Path) -> None:
    cells = drafts(tmp_path)
    for run_id, draft in zip(store.write(cells), cells, strict=True):
        assert store.client.get_run(run_id).data.tags["sweep.cell_id"] == draft.cell_id


def test_a_point_that_is_there_is_not_added_again_and_the_latest_counts(store: Store, tmp_path: Path) -> None:
    [run_id] = store.write(drafts(tmp_path)[:1])
    for value, at in ((2.0, 5), (2.0, 5), (3.0, 6)):
        store.writer.add_points({run_id: [Point("speedup_vs_untuned", value, at)]})
    assert store.client.get_run(run_id).data.metrics["speedup_vs_untuned"] == 3.0
    assert len(store.client.get_metric_history(run_id, "speedup_vs_untuned")) == 2


def test_a_long_curve_is_written_whole(store: Store, tmp_path: Path) -> None:
    draft = drafts(tmp_path)[0]
    points = [Point("tuning/best_ms", 1.0 / (1 + step), STARTED_T_MS + step, step) for step in range(2397)]
    [run_id] = store.write([replace(draft, points=points)])
    assert len(store.client.get_metric_history(run_id, "tuning/best_ms")) == 2397


def test_a_bulk_that_fails_leaves_nothing(database: Path, tmp_path: Path) -> None:
    store = Store(database, "bulk", "nothing")
    good, bad = drafts(tmp_path)[:2]
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException):
        store.write([good, replace(bad, points=[Point("twice", 1.0, 1), Point("twice", 1.0, 1)])])
    assert store.contents() == {}


def test_a_database_is_written_in_bulk_and_a_server_by_its_client(database: Path) -> None:
    assert isinstance(writer_for(open_client(f"sqlite:///{database}")), BulkWriter)
    assert isinstance(writer_for(open_client("http://127.0.0.1:9")), ClientWriter)
