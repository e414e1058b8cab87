"""Writes many runs to a database in one transaction.

MLflow's client takes nine transactions for a run; a database reached without a server takes hundreds of runs in one.
This uses the tables that MLflow declares (`mlflow.store.tracking.dbmodels`), which no promise covers; the contract test
compares what it leaves with what the client leaves, and `writer_for` goes back to the client where they are not as
expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from sweep.record.mlflow.client_writer import CONTEXT, KNOWN_TAGS, ClientWriter, Writer, dataset_source, keep
from sweep.record.mlflow.run_draft import ModelFile, RunDraft
from sweep.record.mlflow.run_values import Point

__all__ = ["BulkWriter", "writer_for"]

_ROWS = 5000
"""Rows that one statement takes at most."""
_NAMED = 500
"""Runs that one question names: SQLite takes 999 values in one, or more."""


def writer_for(client: Any) -> Writer:
    """The quickest writer for a client's store."""
    store = client._tracking_client.store
    if "SqlAlchemyStore" not in {kind.__name__ for kind in type(store).__mro__}:
        return ClientWriter(client)
    try:
        return BulkWriter(store)
    except (ImportError, AttributeError):  # another MLflow's tables
        return ClientWriter(client)


class BulkWriter:
    """Writes runs straight into the tables of MLflow's SQLAlchemy store."""

    is_atomic = True

    def __init__(self, store: Any) -> None:
        """Raises ImportError or AttributeError where this MLflow has other tables."""
        from mlflow.store.tracking.dbmodels import models

        self._sessions, self._finite = store.ManagedSessionMaker, store.sanitize_metric_value
        self._experiment, self._run, self._tag = models.SqlExperiment, models.SqlRun, models.SqlTag
        self._param, self._metric, self._latest = models.SqlParam, models.SqlMetric, models.SqlLatestMetric
        self._dataset, self._input, self._input_tag = models.SqlDataset, models.SqlInput, models.SqlInputTag

    def write(self, experiment_id: str, parent_id: str, drafts: Sequence[RunDraft]) -> list[str]:
        """All in one transaction; their artifacts before it."""
        by_id = {uuid4().hex: draft for draft in drafts}
        with self._sessions(read_only=False) as session:
            location = session.get(self._experiment, int(experiment_id)).artifact_location
            homes = {run_id: f"{location}/{run_id}/artifacts" for run_id in by_id}
            for run_id, draft in by_id.items():
                keep(draft.artifact, homes[run_id])
            runs = [self._run_row(run_id, draft, experiment_id, homes[run_id]) for run_id, draft in by_id.items()]
            self._insert(session, self._run, runs)
            self._insert(
                session,
                self._tag,
                (
                    {"key": key, "value": value, "run_uuid": run_id}
                    for run_id, draft in by_id.items()
                    for key, value in self._tags(draft, parent_id).items()
                ),
            )
            self._insert(
                session,
                self._param,
                (
                    {"key": key, "value": value, "run_uuid": run_id}
                    for run_id, draft in by_id.items()
                    for key, value in draft.params.items()
                ),
            )
            self._insert_points(session, {run_id: draft.points for run_id, draft in by_id.items()})
            self._insert_models(session, experiment_id, {i: d.model for i, d in by_id.items() if d.model is not None})
        return list(by_id)

    def add_points(self, points: Mapping[str, Sequence[Point]]) -> None:
        """All in one transaction; a point that is there already stays one."""
        from sqlalchemy import delete, select

        table, latest = self._metric, self._latest
        run_ids = list(points)
        with self._sessions(read_only=False) as session:
            for start in range(0, len(run_ids), _NAMED):
                part = run_ids[start : start + _NAMED]
                names = {point.name for run_id in part for point in points[run_id]}
                of_these = (table.run_uuid.in_(part), table.key.in_(names))
                columns = (table.run_uuid, table.key, table.value, table.timestamp, table.step)
                known = {tuple(row) for row in session.execute(select(*columns).where(*of_these))}
                new = {
                    run_id: [
                        one for one in points[run_id] if (run_id, one.name, one.value, one.t_ms, one.step) not in known
                    ]
                    for run_id in part
                }
                changed: dict[frozenset[str], list[str]] = {}
                for run_id, given in new.items():
                    if given:
                        changed.setdefault(frozenset(point.name for point in given), []).append(run_id)
                for keys, runs in changed.items():
                    session.execute(delete(latest).where(latest.run_uuid.in_(runs), latest.key.in_(keys)))
                self._insert_points(session, new)

    @staticmethod
    def _tags(draft: RunDraft, parent_id: str) -> dict[str, str]:
        return {**KNOWN_TAGS, **draft.tags, "mlflow.parentRunId": parent_id, "mlflow.runName": draft.name}

    def _run_row(self, run_id: str, draft: RunDraft, experiment_id: str, home: str) -> dict[str, Any]:
        return {
            "run_uuid": run_id,
            "name": draft.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "sweep",
            "status": draft.status,
            "start_time": draft.start_ms,
            "end_time": draft.end_ms,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": home,
            "experiment_id": int(experiment_id),
        }

    def _insert_points(self, session: Any, points: Mapping[str, Sequence[Point]]) -> None:
        rows: list[dict[str, Any]] = []
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for run_id, given in points.items():
            for point in given:
                is_nan, value = self._finite(point.value)
                row = {
                    "key": point.name,
                    "value": value,
                    "timestamp": point.t_ms,
                    "step": point.step,
                    "is_nan": is_nan,
                    "run_uuid": run_id,
                }
                rows.append(row)
                before = latest.setdefault((run_id, point.name), row)
                if (row["step"], row["timestamp"], value) > (before["step"], before["timestamp"], before["value"]):
                    latest[run_id, point.name] = row
        self._insert(session, self._metric, rows)
        self._insert(session, self._latest, latest.values())

    def _insert_models(self, session: Any, experiment_id: str, models: Mapping[str, ModelFile]) -> None:
        known = session.query(self._dataset).filter(self._dataset.experiment_id == int(experiment_id)).all()
        ids = {(one.name, one.digest): one.dataset_uuid for one in known}
        new, inputs, tags = [], [], []
        for run_id, model in models.items():
            key = (model.name, model.digest)
            if key not in ids:
                ids[key] = uuid4().hex
                kind, source = dataset_source(model)
                new.append(
                    {
                        "dataset_uuid": ids[key],
                        "experiment_id": int(experiment_id),
                        "name": model.name,
                        "digest": model.digest,
                        "dataset_source_type": kind,
                        "dataset_source": source,
                    }
                )
            input_id = uuid4().hex
            inputs.append(
                {
                    "input_uuid": input_id,
                    "source_type": "DATASET",
                    "source_id": ids[key],
                    "destination_type": "RUN",
                    "destination_id": run_id,
                }
            )
            tags.append({"input_uuid": input_id, "name": "mlflow.data.context", "value": CONTEXT})
        for table, rows in ((self._dataset, new), (self._input, inputs), (self._input_tag, tags)):
            self._insert(session, table, rows)

    @staticmethod
    def _insert(session: Any, table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        from sqlalchemy import insert

        rows = list(rows)
        for start in range(0, len(rows), _ROWS):
            session.execute(insert(table), rows[start : start + _ROWS])
