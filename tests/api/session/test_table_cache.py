"""Tables of a sweep that was killed, runs still, or lies where nobody may write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sweep
from sweep.api.commands.compare import compare
from sweep.api.session.table_cache import current_results, refresh
from sweep.errors import LedgerError
from sweep.files.sweep_dir import TABLES
from sweep.record.parquet_tables import read_saved
from sweep.record.table_source import is_current
from sweep.running.ledger.ledger import Ledger
from tests.networks import write_tiny

STUDY = "study: read-early\nquestion: Who?\nmodels: [tiny.onnx]\ntuners: [none, random]\nopt_levels: [1, 3]\n"
CLUSTER = "name: made-up\nengine: simulated\nsimulate: {devices: 1}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by a run; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "cluster.yaml").write_text(CLUSTER)
    study, cluster = sweep.load_study(folder / "study.yaml"), sweep.load_cluster(folder / "cluster.yaml")
    sweep.run(study, cluster, out=folder / "out")
    return folder / "out"


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "out")


def _cut(folder: Path, lines: int) -> None:
    """As if the driver had been killed after so many lines, before it wrote a table."""
    for name in TABLES.values():
        (folder / name).unlink()
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:lines]))


def _measured_after(folder: Path, lines: int) -> int:
    return sum(b'"kind":"measure"' in line for line in _done(folder)[:lines] if b"stage_done" in line)


def _done(folder: Path) -> list[bytes]:
    return (folder / "ledger.jsonl").read_bytes().splitlines()


def test_a_finished_sweep_is_read_as_it_was_written(finished: Path) -> None:
    before = {name: (finished / name).stat().st_mtime_ns for name in TABLES.values()}

    refresh(finished)

    assert is_current(finished)
    assert {name: (finished / name).stat().st_mtime_ns for name in TABLES.values()} == before


def test_tables_made_anew_are_those_that_the_run_wrote(finished: Path, copy: Path) -> None:
    for name in TABLES.values():
        (copy / name).unlink()

    refresh(copy)

    written, anew = read_saved(finished), read_saved(copy)
    without = [{**row, "mlflow_run_id": None} for row in written.cells]
    assert (anew.cells, anew.measurements, anew.tasks) == (without, written.measurements, written.tasks)
    assert anew.summary == written.summary


def test_a_killed_first_run_can_be_read_and_compared(copy: Path) -> None:
    lines = len(_done(copy)) * 3 // 4
    measured = _measured_after(copy, lines)
    _cut(copy, lines)

    rows = sweep.open_results(copy).to_pylist()

    assert len(rows) == 5
    done = [row["cell_name"] for row in rows if row["status"] == "done"]
    assert len(done) == measured >= 2
    assert {row["status"] for row in rows} == {"done", "pending"}
    assert compare(copy, done[0], done[1]).as_dict()
    assert sweep.open_table(copy, "measurements").num_rows > 0


def test_tables_of_an_earlier_state_are_made_anew_and_keep_their_mlflow_runs(copy: Path) -> None:
    ids = [row["mlflow_run_id"] for row in read_saved(copy).cells]
    with Ledger(copy) as ledger:  # a driver at work
        ledger.append("run_started", conditions={"host": "another"})

        results = current_results(copy)

        assert results.summary.conditions == {"host": "another"}
        assert [row["mlflow_run_id"] for row in results.cells] == ids != [None] * len(ids)
        assert is_current(copy)


def test_a_trial_that_no_ledger_line_tells_of_is_in_the_table(copy: Path) -> None:
    log = copy / "records" / "target" / "tuner" / "trials.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"trial": 1, "workload": "w", "device": "d"}\n')

    assert sweep.open_table(copy, "records").column("workload").to_pylist() == ["w"]


def test_what_cannot_be_written_is_still_told(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    _cut(copy, len(_done(copy)) // 2)
    for name in TABLES.values():  # root may write wherever it likes, but not a file in a folder's place
        (copy / name).mkdir()

    results = current_results(copy)

    assert len(results.cells) == 5
    assert "tables there are of an earlier state" in caplog.text


def test_a_table_that_was_written_by_half_is_made_anew(copy: Path) -> None:
    path = copy / TABLES["measurements"]
    path.write_bytes(path.read_bytes()[:100])

    assert sweep.open_table(copy, "measurements").num_rows > 0


def test_a_plan_that_does_not_tell_enough_leaves_the_tables_as_they_are(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (copy / "plan.json").write_text('{"study": "read-early", "cells": [], "stages": {}}')

    refresh(copy)

    assert pq.read_table(copy / TABLES["results"]).num_rows == 5
    assert "is of an earlier version" in caplog.text


def test_a_folder_that_is_no_sweep_is_left_alone(tmp_path: Path) -> None:
    refresh(tmp_path)

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LedgerError, match="is not a sweep directory"):
        current_results(tmp_path)


def _without_baseline(folder: Path) -> None:
    """Tables as a version wrote them that knew one runtime beside TVM."""
    path = folder / TABLES["results"]
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["baseline", "ratio_to_baseline"]), path)


def test_tables_that_lack_a_column_are_made_anew(copy: Path) -> None:
    _without_baseline(copy)
    assert not is_current(copy)
    refresh(copy)
    assert is_current(copy)
    assert "ratio_to_baseline" in pq.read_schema(copy / TABLES["results"]).names


def test_tables_of_an_earlier_version_alone_are_read_with_its_one_baseline(copy: Path) -> None:
    before = read_saved(copy).cells
    _without_baseline(copy)
    after = read_saved(copy).cells
    assert {row["baseline"] for row in after} == {"onnxruntime"}
    assert [row["ratio_to_baseline"] for row in after] == [row["ratio_to_baseline"] for row in before]


@pytest.mark.parametrize("baseline", ["tvm", None])
def test_a_plan_keeps_its_baseline_and_an_earlier_one_has_the_usual(copy: Path, baseline: str | None) -> None:
    path = copy / "plan.json"
    plan = json.loads(path.read_text())
    assert plan["baseline"] == "onnxruntime"
    path.write_text(json.dumps(plan | {"baseline": baseline}))
    assert {row["baseline"] for row in current_results(copy).cells} == {baseline}
    del plan["baseline"]
    path.write_text(json.dumps(plan))
    assert {row["baseline"] for row in current_results(copy).cells} == {"onnxruntime"}
