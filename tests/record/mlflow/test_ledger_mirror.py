"""From the ledger on: what settles is written once, whatever becomes of the store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sweep.analysis.rows.results import derive
from sweep.api.session.claim import write_inputs
from sweep.cli import main
from sweep.engine.simulated import SimulatedEngine
from sweep.planning.planner import make_plan
from sweep.record.mlflow.ledger_mirror import LedgerMirror
from sweep.record.mlflow.mirror_process import MirrorOrder
from sweep.record.mlflow.tracking_store import open_client
from sweep.running.driver import drive
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.ledger.sweep_outcome import sweep_outcome
from sweep.study.gate import load_cluster, load_study

pytestmark = [pytest.mark.mlflow, pytest.mark.integration]

CELLS = 4 * 12


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep directory with plan and ledger, and nothing in MLflow. Not to be changed."""
    place = tmp_path_factory.mktemp("driven")
    study, cluster, folder = place / "study.yaml", place / "cluster.yaml", place / "sweep"
    tuners = ["none", {"name": "random", "trials_per_task": 1}]
    levels = {"opt_levels": [1, 2, 3], "axes": {"batch": [1, 2]}, "reference": []}
    study.write_text(json.dumps({"study": "followed", "models": ["onnx-light:squeezenet"], "tuners": tuners, **levels}))
    cluster.write_text(json.dumps({"name": "c", "engine": "simulated", "simulate": {"failure_rate": 0.05, "seed": 3}}))
    spec, where = load_study(study), load_cluster(cluster)
    plan = make_plan(spec, where)
    with Ledger(folder) as ledger:
        write_inputs(folder, spec, plan)
        drive(plan, SimulatedEngine(where), ledger, folder)
    return folder


@pytest.fixture
def folder(driven: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(driven, tmp_path / "sweep"))


def following(folder: Path, database: Path) -> LedgerMirror:
    return MirrorOrder(str(folder), f"sqlite:///{database}", "id", "sweep").following()


def test_cells_come_as_they_settle_and_each_once(folder: Path, tmp_path: Path, empty_store: Path) -> None:
    database = Path(shutil.copy(empty_store, tmp_path))
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:20])  # a line half written
    follower = following(folder, database)
    first, pause_s = follower.step()
    assert 0 < len(first) < CELLS
    assert (pause_s, follower.trouble, follower.left) == (0.0, None, 0)
    assert follower.step() == ({}, 0.0)

    ledger.write_bytes(b"".join(lines))
    second, _ = follower.step()

    assert first.keys().isdisjoint(second)
    assert follower.mirror.run_ids == {**first, **second}
    follower.look_again()
    assert follower.step() == ({}, 0.0), "what was written is not looked at again"
    follower.is_open = False  # as after an error
    assert follower.step()[0] == {**first, **second}, "now all of it is"


def test_a_cell_that_was_not_worth_its_work_is_a_killed_run_with_the_reason(
    folder: Path, tmp_path: Path, empty_store: Path
) -> None:
    (folder / "ledger.jsonl").unlink()
    cell = restore(folder).plan.cells[3].cell
    with Ledger(folder) as ledger:
        ledger.append("run_started", conditions={})
        ledger.append("cell_skipped", cell=cell.id, reason="batch 1 failed")
    database = Path(shutil.copy(empty_store, tmp_path))

    runs, _ = following(folder, database).step()

    assert list(runs) == [cell.id]
    run = open_client(f"sqlite:///{database}").get_run(runs[cell.id])
    assert (run.info.status, run.data.tags["sweep.error"]) == ("KILLED", "batch 1 failed")


def test_a_run_has_the_ratios_that_are_known_as_it_is_written(folder: Path, tmp_path: Path, empty_store: Path) -> None:
    database = Path(shutil.copy(empty_store, tmp_path))
    follower = following(folder, database)
    run_ids, _ = follower.step()
    sweep = restore(folder)
    results = derive(sweep_outcome(sweep.plan, sweep.question, follower.state, folder))
    expected = {row["cell_id"]: row["speedup_vs_untuned"] for row in results.cells}
    assert 10 < sum(ratio not in (None, 1) for ratio in expected.values()) < CELLS / 2 + 1

    client = open_client(f"sqlite:///{database}")
    found = {cell_id: client.get_run(run_id).data.metrics for cell_id, run_id in run_ids.items()}
    assert {cell_id: metrics.get("speedup_vs_untuned") for cell_id, metrics in found.items()} == expected
    follower.mirror.record_results(results)
    histories = [client.get_metric_history(run_id, "speedup_vs_untuned") for run_id in run_ids.values()]
    assert {len(history) for history in histories} <= {0, 1}, "nothing is left to be added"


def test_a_store_that_is_away_is_tried_again_and_gets_everything(
    folder: Path, tmp_path: Path, empty_store: Path
) -> None:
    away = tmp_path / "away"
    away.write_text("a file, where the store's folder will be")
    follower = following(folder, away / "mlflow.db")
    assert [follower.step()[1] for _ in range(6)] == [1, 2, 4, 8, 16, 30]
    assert "MLflow store sqlite://" in (follower.trouble or "")

    away.unlink()
    away.mkdir()
    shutil.copy(empty_store, away)
    written, pause_s = follower.step()

    assert (pause_s, follower.trouble) == (0.0, None)
    settled = following(folder, away / "mlflow.db")
    assert settled.step()[0] == written, "another looks, and finds all of them there"


def test_who_opens_the_ui_of_a_sweep_without_a_store_is_told_where_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ui", str(folder)]) == 2
    assert f"has no MLflow store of its own: `sweep mirror {folder}` makes one" in capsys.readouterr().err
    assert not (folder / "mlflow.db").exists()


def test_what_was_written_and_lost_is_written_again(folder: Path, tmp_path: Path, empty_store: Path) -> None:
    database = Path(shutil.copy(empty_store, tmp_path))
    follower = following(folder, database)
    before, _ = follower.step()
    client = open_client(f"sqlite:///{database}")
    for run_id in list(before.values())[:2]:
        client.delete_run(run_id)
    follower.is_open = False  # as after an error
    after, _ = follower.step()
    assert after.keys() == before.keys()
    assert len(set(after.values()) - set(before.values())) == 2
