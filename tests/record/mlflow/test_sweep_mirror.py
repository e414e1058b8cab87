from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.results import derive
from sweep.errors import RecordError
from sweep.record.mlflow.bulk_writer import BulkWriter
from sweep.record.mlflow.client_writer import ClientWriter
from sweep.record.mlflow.run_draft import ModelFile, RunDraft, draft_of
from sweep.record.mlflow.sweep_mirror import MlflowMirror, SweepIdentity, _parent_points
from sweep.record.mlflow.tracking_store import embedded_store, open_client, translated, ui_command, ui_environment
from sweep.record.mlflow.ui_view import experiment_tags
from tests.record.fixtures import STARTED_T, sweep_outcome, tainted, with_runtime

pytestmark = [pytest.mark.mlflow, pytest.mark.integration]

NOW = STARTED_T + 500
MODEL = ModelFile("squeezenet", "onnx-light:squeezenet", "0123456789abcdef" * 2)


@pytest.fixture(scope="module")
def sweep_dir(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="module")
def outcome(sweep_dir: Path) -> SweepOutcome:
    return replace(with_runtime(sweep_outcome(sweep_dir), "openvino", 0.1), baseline="openvino")


@pytest.fixture(scope="module")
def mirrored(sweep_dir: Path, outcome: SweepOutcome) -> Iterator[MlflowMirror]:
    """A whole sweep in a store of its own, written from another folder than its own."""
    plot = sweep_dir / "plots" / "one.svg"
    plot.parent.mkdir()
    plot.write_text("<svg/>")
    logs = [sweep_dir / "records" / target / "xgb-local-1" for target in ("aa", "bb")]
    for log in logs:
        log.mkdir(parents=True)
        (log / "trials.jsonl").write_text(log.parent.name)
    before = Path.cwd()
    elsewhere = sweep_dir.parent / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    try:
        mirror = opened(sweep_dir, outcome)
        mirror.record_cells(drafts(outcome.cells))
        mirror.record_results(derive(outcome, mirror.run_ids), {"": [plot.parent], "report": [plot], "logs": logs})
        mirror.close("failed", NOW)
        yield mirror
    finally:
        os.chdir(before)
    assert list(elsewhere.iterdir()) == []


def identity(sweep_dir: Path) -> SweepIdentity:
    return SweepIdentity("sweep-1", "quickstart", sweep_dir, STARTED_T, {"host": "bench-01"})


def opened(sweep_dir: Path, outcome: SweepOutcome) -> MlflowMirror:
    mirror = MlflowMirror.embedded(sweep_dir, outcome.study, experiment_tags(outcome.question))
    mirror.open(identity(sweep_dir))
    return mirror


def drafts(cells: Sequence[CellOutcome]) -> list[RunDraft]:
    return [draft_of(cell, MODEL, "sweeps/x", NOW) for cell in cells]


def all_runs(sweep_dir: Path, study: str = "cpu-quickstart") -> tuple[Any, list[Any]]:
    """Parent run and child runs."""
    client = open_client(embedded_store(sweep_dir)[0])
    runs = client.search_runs([client.get_experiment_by_name(study).experiment_id], max_results=1000)
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    [parent] = [run for run in runs if run not in children]
    return parent, children


def test_experiment_is_study_parent_is_sweep_child_is_cell(
    mirrored: MlflowMirror, sweep_dir: Path, outcome: SweepOutcome
) -> None:
    parent, children = all_runs(sweep_dir)
    assert parent.info.run_name == "quickstart"
    assert parent.info.status == "FINISHED"
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert {child.data.tags["sweep.cell_id"]: child.info.run_id for child in children} == mirrored.run_ids
    assert {child.data.tags["sweep.cell"] for child in children} == {cell.cell.name for cell in outcome.cells}
    assert len({child.info.run_name for child in children}) == len(outcome.cells)
    assert set(mirrored.run_ids) == {cell.cell.id for cell in outcome.cells}


def test_statuses_and_reasons_are_there(mirrored: MlflowMirror, sweep_dir: Path) -> None:
    _, children = all_runs(sweep_dir)
    statuses = [child.info.status for child in children]
    assert {status: statuses.count(status) for status in set(statuses)} == {"FINISHED": 14, "FAILED": 1, "KILLED": 1}
    [failed] = [child for child in children if child.info.status == "FAILED"]
    assert failed.data.tags["sweep.error_class"] == "TuneFailed"
    assert "no valid trial" in failed.data.tags["mlflow.note.content"]


def test_what_takes_the_whole_sweep_is_added_at_its_end(
    mirrored: MlflowMirror, sweep_dir: Path, outcome: SweepOutcome
) -> None:
    parent, children = all_runs(sweep_dir)
    by_cell = {child.data.tags["sweep.cell_id"]: child.data.metrics for child in children}
    for row in derive(outcome).cells:
        assert by_cell[row["cell_id"]].get("speedup_vs_untuned") == row["speedup_vs_untuned"]
        for name in ("ratio_to_baseline", "ratio_to_onnxruntime"):
            assert by_cell[row["cell_id"]].get(name) == row[name]
        assert by_cell[row["cell_id"]].get("latency_ms_median") == pytest.approx(row["latency_ms_median"])
    best = next(one.cell.id for one in outcome.cells if one.cell.name == "squeezenet native random O3 local-1")
    assert by_cell[best]["ratio_to_baseline"] == pytest.approx(0.21 / 0.1)  # to OpenVINO
    assert by_cell[best]["ratio_to_onnxruntime"] == pytest.approx(0.21 / 0.064)
    assert parent.data.metrics["sweep/cells_failed"] == 1
    assert parent.data.metrics["sweep/best_ms squeezenet local-1"] == pytest.approx(2.16)
    note = parent.data.tags["mlflow.note.content"]
    assert "still 1.35x slower than OpenVINO, still 2.11x slower than ONNX Runtime" in note


def test_the_best_of_each_batch_has_a_metric_of_its_own(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path)
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    larger = [replace(cell, cell=replace(cell.cell, batch=4)) for cell in outcome.cells]
    mirror = opened(tmp_path, outcome)
    mirror.record_results(derive(replace(outcome, cells=[*outcome.cells, *larger])))
    parent, _ = all_runs(tmp_path)
    best = {name for name in parent.data.metrics if name.startswith("sweep/best_ms")}
    assert best == {"sweep/best_ms squeezenet local-1", "sweep/best_ms squeezenet batch4 local-1"}


def test_the_best_of_what_was_slowed_is_what_it_takes_at_most(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    cells = [tainted(cell) if cell.cell.tuner == "xgb" else cell for cell in outcome.cells]
    results = derive(replace(outcome, cells=cells))
    row = next(row for row in results.cells if row["tuner"] == "xgb" and row["opt_level"] == 3)
    [point] = [point for point in _parent_points(results, 0) if point.name.startswith("sweep/best_ms")]
    assert point.value == row["latency_ms_ci_high"] > row["latency_ms_median"]


def test_files_lie_inside_the_sweep_directory(mirrored: MlflowMirror, sweep_dir: Path) -> None:
    parent, children = all_runs(sweep_dir)
    home = sweep_dir / "mlartifacts" / parent.info.run_id / "artifacts"
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*.*")) == [
        "logs/aa/xgb-local-1/trials.jsonl",
        "logs/bb/xgb-local-1/trials.jsonl",
        "plots/one.svg",
        "report/one.svg",
    ]
    assert all((sweep_dir / "mlartifacts" / run.info.run_id / "artifacts" / "cell.json").is_file() for run in children)


def test_the_store_is_one_file_with_no_empty_experiment(mirrored: MlflowMirror, sweep_dir: Path) -> None:
    client = open_client(mirrored.tracking_uri)
    assert "Default" not in {experiment.name for experiment in client.search_experiments()}
    assert (sweep_dir / "mlflow.db").stat().st_size > 500_000


def test_resuming_writes_nothing_twice(mirrored: MlflowMirror, sweep_dir: Path, outcome: SweepOutcome) -> None:
    parent, children = all_runs(sweep_dir)
    again = opened(sweep_dir, outcome)
    run_ids = again.record_cells(drafts(outcome.cells))
    again.record_results(derive(outcome, run_ids))
    again.close("failed", NOW)
    later_parent, later_children = all_runs(sweep_dir)
    assert later_parent.info.run_id == parent.info.run_id
    assert {run.info.run_id for run in later_children} == {run.info.run_id for run in children}
    client = open_client(mirrored.tracking_uri)
    done = next(run for run in later_children if run.info.status == "FINISHED")
    assert len(client.get_metric_history(done.info.run_id, "ratio_to_onnxruntime")) == 1
    assert len(client.get_metric_history(parent.info.run_id, "sweep/cells_done")) == 1


def test_views_follow_the_grid_and_a_note_of_a_persons_own_stays(sweep_dir: Path) -> None:
    outcome = sweep_outcome(sweep_dir, study="viewed")
    opened(sweep_dir, outcome).close("done", NOW)
    client = open_client(embedded_store(sweep_dir)[0])
    client.set_experiment_tag(client.get_experiment_by_name("viewed").experiment_id, "mlflow.note.content", "mine")
    now = experiment_tags(outcome.question, ("batch",))
    mirror = MlflowMirror.embedded(sweep_dir, "viewed", now)
    mirror.open(identity(sweep_dir))
    mirror.close("done", NOW)
    assert client.get_experiment_by_name("viewed").tags == {**now, "mlflow.note.content": "mine"}


def test_a_cell_that_comes_out_otherwise_replaces_its_run(sweep_dir: Path) -> None:
    outcome = sweep_outcome(sweep_dir, study="changed")
    failed = next(cell for cell in outcome.cells if cell.status == "failed")
    mirror = opened(sweep_dir, outcome)
    [first] = mirror.record_cells(drafts([failed])).values()
    good = replace(failed, status="done", error=None, error_class=None, failed_stage=None)
    [second] = mirror.record_cells(drafts([good])).values()
    mirror.close("done", NOW)
    _, children = all_runs(sweep_dir, "changed")
    assert first != second
    assert [run.info.run_id for run in children] == [second]


def test_a_run_that_has_not_ended_and_one_too_many_are_taken_away(sweep_dir: Path) -> None:
    outcome = sweep_outcome(sweep_dir, study="lost")
    mirror = opened(sweep_dir, outcome)
    [whole] = mirror.record_cells(drafts(outcome.cells[:1])).values()
    client = open_client(mirror.tracking_uri)
    parent, _ = all_runs(sweep_dir, "lost")
    experiment_id, parent_id = parent.info.experiment_id, parent.info.run_id
    half = ClientWriter(client)
    client.set_terminated = interrupt  # as where the connection is lost before the last call
    with pytest.raises(KeyboardInterrupt):
        half.write(experiment_id, parent_id, drafts(outcome.cells[1:2]))
    BulkWriter(client._tracking_client.store).write(experiment_id, parent_id, drafts(outcome.cells[:1]))
    assert len(all_runs(sweep_dir, "lost")[1]) == 3

    again = opened(sweep_dir, outcome)
    [first, second] = again.record_cells(drafts(outcome.cells[:2])).values()
    again.close("done", NOW)

    _, children = all_runs(sweep_dir, "lost")
    assert sorted(run.info.run_id for run in children) == sorted([first, second])
    assert whole in {first, *(run.info.run_id for run in all_deleted(client, experiment_id))}
    assert {run.info.status for run in children} == {"FINISHED"}


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def all_deleted(client: Any, experiment_id: str) -> list[Any]:
    from mlflow.entities import ViewType

    return list(client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY))


def test_a_pending_cell_is_not_mirrored(mirrored: MlflowMirror, outcome: SweepOutcome) -> None:
    with pytest.raises(ValueError, match="only a settled cell"):
        mirrored.record_cells(drafts([replace(outcome.cells[0], status="pending")]))


def test_a_store_that_cannot_be_reached_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for uri in (f"sqlite:///{tmp_path}/file/mlflow.db", "http://127.0.0.1:9"):
        mirror = MlflowMirror(uri, None, "study")
        with pytest.raises(RecordError, match="MLflow store"):
            mirror.open(identity(tmp_path))


def test_opening_a_store_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        open_client(embedded_store(tmp_path)[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=me&password=hunter2",
        "http://me:hunter2@127.0.0.1:1",
        "http://hunter2@127.0.0.1:1",
    ],
)
def test_a_password_is_not_told(uri: str) -> None:
    uri = uri.replace("postgresql", "postgresql+psycopg")
    with pytest.raises(RecordError) as refused, translated(uri):
        # MLflow asks a database for minutes
        open_client(uri).search_experiments() if uri.startswith("http") else sqlalchemy.create_engine(uri).connect()
    assert "hunter2" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def test_the_ui_serves_loopback_only(tmp_path: Path) -> None:
    argv = ui_command(tmp_path, port=5055)
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path}/mlflow.db"
    assert ui_environment()["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_telemetry_is_off(mirrored: MlflowMirror) -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
