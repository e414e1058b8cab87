"""A sweep mirrored in MLflow: experiment = study, parent run = sweep, child run = cell, dataset = network.

The ledger is the truth; this can be thrown away and written anew from it. Each settled cell is written as it settles,
and a cell whose content is there already is left alone, so a resumed sweep adds what is missing and nothing twice.
A run is complete once it has ended: one that a kill or a lost connection left half written is taken away, and so is a
second run of one cell (a server had carried out a call whose answer was lost).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import Best, best_cells
from sweep.analysis.rows.results import Results
from sweep.plain_text import as_markdown
from sweep.record.mlflow import run_values as rows
from sweep.record.mlflow.bulk_writer import writer_for
from sweep.record.mlflow.client_writer import ClientWriter, Writer
from sweep.record.mlflow.network_models import ModelStore, log_models
from sweep.record.mlflow.run_draft import RunDraft
from sweep.record.mlflow.run_values import Point, metric_name
from sweep.record.mlflow.tracking_store import (
    bring_home,
    embedded_store,
    home_of,
    open_client,
    open_experiment,
    settle,
    translated,
)
from sweep.record.mlflow.ui_view import VIEWS, experiment_tags
from sweep.study.axes import axes_under, unusual

__all__ = ["MlflowMirror", "SweepIdentity"]

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
    content: str
    end_ms: int
    metrics: dict[str, float]


class MlflowMirror:
    """Writes one sweep to one store. Not for several threads. After a RecordError, `open` comes first again."""

    def __init__(
        self, tracking_uri: str, artifact_root: str | None, study: str, tags: Mapping[str, str] | None = None
    ) -> None:
        """Of a store, and an experiment in it.

        `artifact_root`: where the artifacts of a new experiment lie; None: where the store's server keeps them.
        `tags`: of the experiment, as `mlflow_view.experiment_tags` makes them; a person's own note is left.
        """
        self.tracking_uri, self.artifact_root, self.study = tracking_uri, artifact_root, study
        self._tags = experiment_tags("") if tags is None else tags
        self._client: Any = None
        self._writer: Writer | None = None
        self._experiment_id = ""
        self._parent_id = ""
        self._sweep: SweepIdentity | None = None
        self._cells: dict[str, _Mirrored] = {}

    @classmethod
    def embedded(cls, sweep_dir: Path, study: str, tags: Mapping[str, str] | None = None) -> Self:
        """In the sweep directory itself: mlflow.db and mlartifacts/."""
        sweep_dir.mkdir(parents=True, exist_ok=True)
        return cls(*embedded_store(sweep_dir), study, tags)

    @classmethod
    def at(cls, tracking_uri: str | None, sweep_dir: Path, study: str, tags: Mapping[str, str] | None = None) -> Self:
        """In a tracking server or database; None: in the sweep directory."""
        if tracking_uri is None or tracking_uri == embedded_store(sweep_dir)[0]:
            return cls.embedded(sweep_dir, study, tags)
        return cls(tracking_uri, home_of(tracking_uri, sweep_dir), study, tags)

    @property
    def run_ids(self) -> Mapping[str, str]:
        """Run of each mirrored cell, by the cell's id."""
        return {cell_id: mirrored.run_id for cell_id, mirrored in self._cells.items()}

    def open(self, sweep: SweepIdentity) -> str:
        """Find or create experiment and parent run, see which cells are there, and return the parent's run id.

        Raises RecordError where the store cannot be reached.
        """
        self._sweep = sweep
        if self.tracking_uri == embedded_store(sweep.sweep_dir)[0] and self.artifact_root is not None:
            bring_home(self.tracking_uri, self.artifact_root)
        self._client = open_client(self.tracking_uri)
        self._writer = writer_for(self._client)
        with translated(self.tracking_uri):
            self._experiment_id = open_experiment(self._client, self.study, self.artifact_root, self._tags, (VIEWS,))
            first, *others = self._search(f"tags.`sweep.id` = '{sweep.id}'") or [None]
            for other in others:
                self._client.delete_run(other.info.run_id)
            tags = rows.as_text({"sweep.id": sweep.id, "sweep.dir": sweep.sweep_dir, **sweep.tags})
            if first is not None:
                self._parent_id = first.info.run_id
                self._client.update_run(self._parent_id, status="RUNNING")
                ClientWriter(self._client).tag(self._parent_id, tags)
                self._cells = self._found()
            else:
                start_ms = round(sweep.started_t * 1e3)
                self._parent_id = ClientWriter(self._client).create(self._experiment_id, sweep.name, start_ms, tags)
                self._cells = {}
        return self._parent_id

    def record_cells(self, drafts: Iterable[RunDraft]) -> dict[str, str]:
        """Write settled cells, and return the run of each by the cell's id. Raises RecordError."""
        assert self._writer is not None, "open() comes first"
        wanted = list(drafts)
        new = [draft for draft in wanted if self._content_of(draft.cell_id) != draft.content]
        with translated(self.tracking_uri):
            for draft in new:  # metrics of a run cannot be taken back, so another run takes its place
                if draft.cell_id in self._cells:
                    self._client.delete_run(self._cells.pop(draft.cell_id).run_id)
            run_ids = self._writer.write(self._experiment_id, self._parent_id, new) if new else []
        for draft, run_id in zip(new, run_ids, strict=True):
            self._cells[draft.cell_id] = _Mirrored(run_id, draft.content, draft.end_ms, draft.ratios)
        return {draft.cell_id: self._cells[draft.cell_id].run_id for draft in wanted}

    def record_results(self, results: Results, files: Mapping[str, Sequence[Path]] | None = None) -> None:
        """Add what takes the whole sweep to know: ratios to each cell; counts, answer and files to the parent.

        files: by folder among the parent's artifacts ("" for its root), where they keep the place they have below a
        folder of the sweep directory; folders are taken with all they hold.
        """
        assert self._writer is not None, "open() comes first"
        with translated(self.tracking_uri):
            now_ms = round(results.summary.ended_t * 1e3)
            self._writer.add_points(dict(self._new_ratios(results, now_ms)))
            self._writer.add_points({self._parent_id: _parent_points(results, now_ms)})
            said = "\n\n".join(f"**{as_markdown(line)}**" for line in answer(results).splitlines())
            note = f"{as_markdown(results.summary.question)}\n\n{said}"
            self._client.set_tag(self._parent_id, "mlflow.note.content", note)
            for folder, paths in (files or {}).items():
                for path in paths:
                    self._log_file(path, folder)

    def record_models(self, bundles: Sequence[Path], register: str | None = None) -> list[str]:
        """Log bundles of cells as models, and give their URIs; `register`: the name in the registry of their versions.

        Raises RecordError.
        """
        assert self._sweep is not None, "open() comes first"
        store = ModelStore(self._client, self._experiment_id, self._sweep.id, self.run_ids)
        with translated(self.tracking_uri):
            return log_models(store, bundles, register)

    def close(self, status: str, now: float | None = None) -> None:
        """End the parent run. status: done, failed (some cells), stopped or interrupted."""
        if self._client is not None and self._writer is not None:
            with translated(self.tracking_uri):
                if not self._writer.is_atomic:
                    self._cells = self._found()
                self._client.set_terminated(self._parent_id, _ENDED[status], _ms(now))
                settle(self.tracking_uri)
            self._client = self._writer = None

    def _content_of(self, cell_id: str) -> str | None:
        known = self._cells.get(cell_id)
        return None if known is None else known.content

    def _new_ratios(self, results: Results, now_ms: int) -> Iterable[tuple[str, list[Point]]]:
        for row in results.cells:
            mirrored = self._cells.get(row["cell_id"])
            if mirrored is None:
                continue
            values = {name: row[name] for name in rows.DERIVED_METRICS if row[name] is not None}
            changed = {name: value for name, value in values.items() if mirrored.metrics.get(name) != value}
            if changed:
                # MLflow shows the latest: one that replaces another has to be later than it
                t_ms = {name: now_ms if name in mirrored.metrics else mirrored.end_ms for name in changed}
                mirrored.metrics.update(changed)
                yield mirrored.run_id, [Point(name, value, t_ms[name]) for name, value in changed.items()]

    def _found(self) -> dict[str, _Mirrored]:
        """The whole runs that are there, one a cell; others are taken away."""
        found: dict[str, _Mirrored] = {}
        for run in self._search(f"tags.`mlflow.parentRunId` = '{self._parent_id}'"):
            cell_id, content = run.data.tags.get("sweep.cell_id"), run.data.tags.get(rows.CONTENT_TAG)
            if cell_id is None:
                continue  # somebody else's, below this parent
            if content is None or cell_id in found or run.info.status not in rows.STATUS.values():
                self._client.delete_run(run.info.run_id)
            else:
                found[cell_id] = _Mirrored(run.info.run_id, content, run.info.end_time, dict(run.data.metrics))
        return found

    def _search(self, condition: str) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment_id], condition, max_results=5000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

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


def _parent_points(results: Results, now_ms: int) -> list[Point]:
    counts = Counter(row["status"] for row in results.cells)
    points = [
        Point(f"sweep/cells_{status}", counts[status], now_ms) for status in ("done", "tainted", "failed", "skipped")
    ]
    return points + [
        Point(f"sweep/best_ms {metric_name(_name_of(best))}", best.known_ms, now_ms)
        for best in best_cells(results.cells)
    ]


def _name_of(best: Best) -> str:
    work = unusual(best.row, (axis for axis in axes_under() if axis.compared_within))
    return " ".join([best.model, *work, best.device])


def _ms(now: float | None) -> int:
    return round((time.time() if now is None else now) * 1e3)
