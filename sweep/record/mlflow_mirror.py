"""A sweep mirrored in MLflow: experiment = study, parent run = sweep, child run = cell.

The ledger is the truth; this can be thrown away and written anew from it. Each settled cell is written as it settles,
and a cell whose content is there already is left alone, so a resumed sweep adds what is missing and nothing twice.
A run is complete once it has ended: one that a kill left half written is replaced.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from sweep.analysis.answer import answer, best_cells
from sweep.analysis.outcome import CellOutcome
from sweep.analysis.results import Results
from sweep.record import mlflow_rows as rows
from sweep.record.mlflow_rows import Point
from sweep.record.mlflow_store import bring_home, embedded_store, open_client, settle, translated

__all__ = ["MlflowMirror", "SweepIdentity"]

_BATCH = 1000
"""Metrics that one call of log_batch takes."""
_ENDED = {"done": "FINISHED", "failed": "FINISHED", "interrupted": "KILLED", "stopped": "KILLED"}


@dataclass(frozen=True, slots=True)
class SweepIdentity:
    """Which parent run a sweep is."""

    id: str
    """The same whenever the same sweep directory is resumed."""
    name: str
    """Shown in the UI."""
    sweep_dir: Path
    started_t: float
    tags: Mapping[str, Any]
    """More to keep with the parent run: conditions, versions."""


@dataclass(slots=True)
class _Mirrored:
    run_id: str
    content: str | None
    """None: its run never ended."""
    metrics: dict[str, float]


class MlflowMirror:
    """Writes one sweep to one store. Not for several threads."""

    def __init__(self, tracking_uri: str, artifact_root: str | None, study: str, question: str = "") -> None:
        self.tracking_uri, self.artifact_root, self.study, self.question = tracking_uri, artifact_root, study, question
        self._client: Any = None
        self._experiment_id = ""
        self._parent_id = ""
        self._sweep: SweepIdentity | None = None
        self._cells: dict[str, _Mirrored] = {}

    @classmethod
    def embedded(cls, sweep_dir: Path, study: str, question: str = "") -> Self:
        """In the sweep directory itself: mlflow.db and mlartifacts/."""
        sweep_dir.mkdir(parents=True, exist_ok=True)
        return cls(*embedded_store(sweep_dir), study, question)

    @property
    def run_ids(self) -> Mapping[str, str]:
        """Run of each mirrored cell, by the cell's id."""
        return {cell_id: mirrored.run_id for cell_id, mirrored in self._cells.items()}

    def open(self, sweep: SweepIdentity) -> str:
        """Find or create experiment and parent run, see which cells are there, and return the parent's run id.

        Raises RecordError where the store cannot be reached.
        """
        self._sweep = sweep
        if self.artifact_root is not None:
            bring_home(self.tracking_uri, self.artifact_root)
        self._client = open_client(self.tracking_uri)
        with translated(self.tracking_uri):
            self._experiment_id = self._experiment()
            found = self._search(f"tags.`sweep.id` = '{sweep.id}'")
            if found:
                self._parent_id = found[0].info.run_id
                self._client.update_run(self._parent_id, status="RUNNING")
                self._client.set_tag(self._parent_id, "sweep.dir", str(sweep.sweep_dir))
                self._cells = dict(self._mirrored())
            else:
                tags = rows.as_text({"sweep.id": sweep.id, "sweep.dir": sweep.sweep_dir, **sweep.tags})
                self._parent_id = self._create_run(sweep.name, round(sweep.started_t * 1e3), tags)
        return self._parent_id

    def record_cell(self, outcome: CellOutcome, now: float | None = None) -> str:
        """Write a settled cell and return its run id. Raises RecordError; ValueError for a pending cell."""
        if outcome.status not in rows.STATUS:
            raise ValueError(f"{outcome.cell.name} is {outcome.status}: only a settled cell is mirrored")
        assert self._sweep is not None, "open() comes first"
        known, content = self._cells.get(outcome.cell.id), rows.content_hash(outcome)
        if known is not None and known.content == content:
            return known.run_id
        at = time.time() if now is None else now
        with translated(self.tracking_uri):
            if known is not None:  # metrics of a run cannot be taken back, so another run takes its place
                self._client.delete_run(known.run_id)
            run_id = self._write_cell(outcome, at)
        self._cells[outcome.cell.id] = _Mirrored(run_id, content, {})
        return run_id

    def record_results(self, results: Results, files: Mapping[str, Sequence[Path]] | None = None) -> None:
        """Add what takes the whole sweep to know: ratios to each cell; counts, answer and files to the parent.

        files: by folder among the parent's artifacts ("" for its root), where they keep the place they have below a
        folder of the sweep directory; folders are taken with all they hold.
        """
        with translated(self.tracking_uri):
            now_ms = round(results.summary.ended_t * 1e3)
            for row in results.cells:
                mirrored = self._cells.get(row["cell_id"])
                if mirrored is not None:
                    self._add_metrics(mirrored, {name: row[name] for name in rows.DERIVED_METRICS}, now_ms)
            self._log(self._parent_id, _parent_points(results, now_ms))
            note = f"{results.summary.question}\n\n**{answer(results)}**"
            self._client.set_tag(self._parent_id, "mlflow.note.content", note)
            for folder, paths in (files or {}).items():
                for path in paths:
                    self._log_file(path, folder)

    def close(self, status: str, now: float | None = None) -> None:
        """End the parent run. status: done, failed (some cells), stopped or interrupted."""
        if self._client is not None:
            with translated(self.tracking_uri):
                self._client.set_terminated(self._parent_id, _ENDED[status], _ms(now))
                settle(self.tracking_uri)
            self._client = None

    def _experiment(self) -> str:
        existing = self._client.get_experiment_by_name(self.study)
        if existing is not None and existing.lifecycle_stage == "active":
            return str(existing.experiment_id)
        if existing is not None:
            self._client.restore_experiment(existing.experiment_id)
            return str(existing.experiment_id)
        # The kind decides which pages the UI offers: runs and their charts, not traces of prompts.
        tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": self.question}
        return str(self._client.create_experiment(self.study, artifact_location=self.artifact_root, tags=tags))

    def _mirrored(self) -> Iterable[tuple[str, _Mirrored]]:
        for run in self._search(f"tags.`mlflow.parentRunId` = '{self._parent_id}'"):
            has_ended = run.info.status in rows.STATUS.values()
            content = run.data.tags.get(rows.CONTENT_TAG) if has_ended else None
            yield run.data.tags["sweep.cell_id"], _Mirrored(run.info.run_id, content, dict(run.data.metrics))

    def _search(self, condition: str) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment_id], condition, max_results=5000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _create_run(self, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        known = {"mlflow.source.name": "sweep", "mlflow.source.type": "JOB", "mlflow.user": "sweep"}
        run = self._client.create_run(self._experiment_id, start_ms, {**known, **tags}, run_name=name)
        return str(run.info.run_id)

    def _write_cell(self, outcome: CellOutcome, now: float) -> str:
        assert self._sweep is not None
        start_ms, end_ms = rows.span(outcome, now)
        tags = rows.cell_tags(outcome, str(self._sweep.sweep_dir)) | {"mlflow.parentRunId": self._parent_id}
        run_id = self._create_run(outcome.cell.name, start_ms, tags)
        self._log(run_id, rows.metrics(outcome, now), rows.params(outcome))
        self._client.log_dict(run_id, _as_artifact(outcome), "cell.json")
        self._client.set_terminated(run_id, rows.STATUS[outcome.status], end_ms)
        return run_id

    def _add_metrics(self, mirrored: _Mirrored, values: Mapping[str, float | None], now_ms: int) -> None:
        changed = {n: v for n, v in values.items() if v is not None and mirrored.metrics.get(n) != v}
        if changed:
            self._log(mirrored.run_id, [Point(name, value, now_ms) for name, value in changed.items()])
            mirrored.metrics.update(changed)

    def _log_file(self, path: Path, folder: str) -> None:
        assert self._sweep is not None
        home = self._sweep.sweep_dir
        inside = path.relative_to(home).parts if path.is_relative_to(home) else (path.name,)
        # Below the sweep directory's own folder: two targets' logs of one tuner have the same last name.
        parts = (folder, *(inside[1:] or inside))
        if path.is_dir():
            self._client.log_artifacts(self._parent_id, str(path), "/".join(filter(None, parts)))
        else:
            self._client.log_artifact(self._parent_id, str(path), "/".join(filter(None, parts[:-1])) or None)

    def _log(self, run_id: str, points: Sequence[Point], params: Mapping[str, str] | None = None) -> None:
        from mlflow.entities import Metric, Param

        given = [Param(key, value) for key, value in (params or {}).items()]
        for start in range(0, max(1, len(points)), _BATCH):
            batch = [Metric(one.name, one.value, one.t_ms, one.step) for one in points[start : start + _BATCH]]
            self._client.log_batch(run_id, metrics=batch, params=given if start == 0 else [])


def _parent_points(results: Results, now_ms: int) -> list[Point]:
    counts = Counter(row["status"] for row in results.cells)
    points = [
        Point(f"sweep/cells_{status}", counts[status], now_ms) for status in ("done", "tainted", "failed", "skipped")
    ]
    return points + [
        Point(f"sweep/best_ms {_allowed(best.model)} {_allowed(best.device)}", best.row["latency_ms_median"], now_ms)
        for best in best_cells(results.cells)
    ]


def _allowed(name: str) -> str:
    """With the characters that MLflow takes in the name of a metric."""
    return "".join(character if character.isalnum() or character in "_-. :" else "_" for character in name)


def _as_artifact(outcome: CellOutcome) -> dict[str, Any]:
    """The whole of a cell, but for its tuning curve, which is among the metrics."""
    told = asdict(outcome)
    told["stages"] = {
        kind: {key: value for key, value in result.items() if key != "curve"} for kind, result in told["stages"].items()
    }
    return told


def _ms(now: float | None) -> int:
    return round((time.time() if now is None else now) * 1e3)
