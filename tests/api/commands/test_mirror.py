"""A sweep comes into MLflow whole and once, whatever becomes of the store meanwhile."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from sweep.api.commands.mirror import mirror
from sweep.api.commands.read import open_results
from sweep.api.commands.run import SweepRun
from sweep.api.session.run_mirror import MirrorProcess, MirrorStarter, order_for
from sweep.cli import main
from sweep.errors import LedgerError, StudyError
from sweep.record.mlflow.tracking_store import embedded_store
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.study.gate import load_study
from tests.record.servers import LIMIT_S, TrackingServer, postgresql, wait_for
from tests.record.sweeps import count_in, run_simulated, runs_in

pytestmark = [pytest.mark.mlflow, pytest.mark.integration]

AWAY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> SweepRun:
    """In the store of its own folder. Not to be changed."""
    return run_simulated(tmp_path_factory.mktemp("ended"))


@pytest.fixture(scope="module")
def sweep_dir(ended: SweepRun) -> Path:
    return ended.outcome.sweep_dir


def test_every_cell_is_a_run_that_its_row_names(ended: SweepRun, sweep_dir: Path, tmp_path: Path) -> None:
    found = runs_in(embedded_store(sweep_dir)[0], tmp_path)
    assert set(found) == {"experiment", "parent", *(cell.cell.name for cell in ended.outcome.cells)}
    assert found["parent"]["status"] == "FINISHED"
    assert None not in open_results(sweep_dir)["mlflow_run_id"].to_pylist()
    [(dataset, _)] = found[ended.outcome.cells[0].cell.name]["datasets"]
    [network] = load_study(sweep_dir / "study.yaml").models
    digest = hashlib.sha256(network.path.read_bytes()).hexdigest()[:32]
    assert (dataset["_name"], dataset["_digest"]) == ("squeezenet", digest)


def test_a_store_that_was_lost_is_made_anew_the_same(
    sweep_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = embedded_store(sweep_dir)[0]
    before = runs_in(uri, tmp_path)
    copy = tmp_path / "sweep"
    shutil.copytree(sweep_dir, copy, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))

    mirror(copy)

    assert runs_in(embedded_store(copy)[0], tmp_path) == before
    ids = open_results(copy)["mlflow_run_id"].to_pylist()
    assert None not in ids
    assert set(ids).isdisjoint(open_results(sweep_dir)["mlflow_run_id"].to_pylist())
    assert main(["mirror", str(copy), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["runs"].values()) == set(ids)


@pytest.mark.slow
def test_a_damaged_store_is_made_anew(sweep_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`run`, `mirror` and `ui` said that `sweep mirror` makes one, which failed."""
    copy = shutil.copytree(sweep_dir, tmp_path / "sweep")
    for path in copy.glob("mlflow.db*"):
        path.unlink()
    (copy / "mlflow.db").write_bytes(b"\\xff" * 9_000)
    assert main(["mirror", str(copy)]) == 0
    assert "mlflow.db: is damaged (file is not a database); it is mlflow.db.damaged-1 now" in caplog.text
    assert "parent" in runs_in(embedded_store(copy)[0], tmp_path / "read")


def test_a_run_whose_store_is_away_ends_and_is_mirrored_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.api.session.publication._PATIENCE_S", 0.1)
    with caplog.at_level(logging.WARNING):
        ended = run_simulated(tmp_path, uri=AWAY)
    folder = ended.outcome.sweep_dir
    assert f"MLflow lacks some of this sweep: MLflow store {AWAY}" in caplog.text
    assert f"`sweep mirror {folder}" in caplog.text
    assert open_results(folder)["mlflow_run_id"].null_count == len(ended.outcome.cells)

    assert len(mirror(folder).run_ids) == len(ended.outcome.cells)
    assert open_results(folder)["mlflow_run_id"].null_count == 0


@pytest.mark.slow
def test_a_mirror_that_is_killed_is_started_again(
    sweep_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "sweep"
    shutil.copytree(sweep_dir, copy, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    cells = len(json.loads((copy / "plan.json").read_text())["cells"])
    with MirrorProcess(order_for(copy, "simulated", None)) as process:
        process.start()
        assert process._child is not None
        process._child.kill()
        process._child.wait()
        assert process.settle()
        process._child.kill()
        process._child.wait()
        assert process.finish("done")
    assert caplog.text.count("what writes to MLflow was killed: it is started again") == 2
    assert count_in(embedded_store(copy)[0]) == cells


def test_what_writes_to_mlflow_starts_with_the_first_answer(sweep_dir: Path, tmp_path: Path) -> None:
    """To load it takes seconds of the cores that this answer waits for, and before there is nothing to write."""
    copy = shutil.copytree(sweep_dir, tmp_path / "sweep")
    with MirrorProcess(order_for(copy, "simulated", None)) as process:
        starter = MirrorStarter(process)
        starter.tick(0.0)
        assert process._child is None
        starter.cell_settled(0, False)
        child = process._child
        assert child is not None
        starter.cell_settled(1, False)
        process.begin()
        assert process._child is child


def test_a_limited_wait_ends_while_a_store_keeps_silent(sweep_dir: Path, tmp_path: Path) -> None:
    """It takes connections and never answers, so there is no trouble to tell of either."""
    copy = shutil.copytree(sweep_dir, tmp_path / "sweep")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with MirrorProcess(order_for(copy, "simulated", uri)) as process:
            process.start()
            process.limit_s = 0.1
            begun = time.monotonic()
            assert not process.settle()
            assert time.monotonic() - begun < 60, "half of what it waits without a limit"


def test_who_cannot_be_mirrored_is_told_why(sweep_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is not a sweep directory"):
        mirror(tmp_path)
    with pytest.raises(StudyError, match=rf"^--to: nobody answers there: .* \(got '{AWAY.removeprefix('http://')}'\)"):
        mirror(sweep_dir, AWAY)
    copy = tmp_path / "sweep"
    shutil.copytree(sweep_dir, copy)
    with Ledger(copy), pytest.raises(LedgerError, match="is being run"):
        mirror(copy)


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_gets_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.api.session.publication._PATIENCE_S", LIMIT_S)
    server, folder = TrackingServer(tmp_path / "mlflow.db"), tmp_path / "sweep"
    server.start()
    ended: list[SweepRun] = []
    # Four cells at once, each for a second: 40 seconds and more
    running = threading.Thread(
        target=lambda: ended.append(run_simulated(tmp_path, uri=server.uri, speed=1, cells=160)), daemon=True
    )
    try:
        running.start()
        wait_for(lambda: count_in(server.uri) > 0)
        server.stop()
        assert read_ledger(folder).last_status is None, "it is to be away while the sweep goes on"
        wait_for(lambda: read_ledger(folder).last_status is not None)
        server.start()
        running.join()
        found = runs_in(server.uri, tmp_path)
        mirror(folder)
        home = runs_in(embedded_store(folder)[0], tmp_path)
    finally:
        server.stop()
    assert set(found) == {"experiment", "parent", *(cell.cell.name for cell in ended[0].outcome.cells)}
    assert found == home


@pytest.mark.slow
def test_a_postgresql_database_has_the_same_runs(sweep_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    copy = tmp_path / "sweep"
    shutil.copytree(sweep_dir, copy)
    place = tmp_path / "postgresql"
    place.mkdir()
    with postgresql(place) as uri:
        done = mirror(copy, uri)
        assert "secret" not in done.tracking_uri
        assert runs_in(uri, tmp_path) == runs_in(embedded_store(sweep_dir)[0], tmp_path)
        assert dict(mirror(copy, uri).run_ids) == dict(done.run_ids)
