"""A small network through the real command line: real TVM, tracker, server, Ray, ONNX Runtime and MLflow store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.running.ledger import read_ledger
from tests.networks import write_tiny, write_unsupported

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray]

STUDY = """\
study: tiny
models: [{models}]
tuners: [none, {{name: random, trials_per_task: 3}}, {{name: xgb, trials_per_task: 4, round: 2, population: 8}}]
opt_levels: {levels}
exclude: [{{tuner: xgb, opt_level: 1}}]
measure: {{repeat: 5, min_repeat_ms: 5}}
"""
CLUSTER = """\
name: one
engine: ray
tracker: {host: 127.0.0.1, port: 0, managed: true}
devices: [{key: here, target: native, threads: 1, cores: [-1]}]
"""
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Place:
    """A folder with a study; runs have its mark in their environment, so that none of their processes is overlooked."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, levels: str = "[1, 3]", models: str = "tiny.onnx") -> None:
        (self.folder / "study.yaml").write_text(STUDY.format(levels=levels, models=models))

    def start(self, *options: str) -> subprocess.Popen[str]:
        (self.folder / "tmp").mkdir(exist_ok=True)
        own = {
            "PYTHONPATH": str(Path.cwd()),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "SWEEP_TEST_MARK": str(self.folder),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "sweep", "run", "study.yaml", "-c", "cluster.yaml", "--out", "out", *options],
            cwd=self.folder,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str) -> tuple[int, str, str]:
        process = self.start(*options)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err

    def lines(self, event: str) -> list[dict[str, Any]]:
        path = self.out / "ledger.jsonl"
        if not path.exists():
            return []
        whole = path.read_bytes().rpartition(b"\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["event"] == event]

    def trials(self) -> list[dict[str, Any]]:
        found = []
        for path in (self.out / "records").glob("*/*/trials.jsonl"):
            found += [json.loads(line) for line in path.read_bytes().rpartition(b"\n")[0].splitlines()]
        return found

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SWEEP_TEST_MARK") == str(self.folder):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.05)


def place_in(folder: Path) -> Place:
    write_tiny(folder / "tiny.onnx")
    (folder / "cluster.yaml").write_text(CLUSTER)
    place = Place(folder)
    place.write()
    return place


def assert_whole(place: Place, cells: int) -> list[dict[str, Any]]:
    """Every cell has exactly one row and is done; no stage that was done was attempted again."""
    import pyarrow.parquet as pq

    rows = pq.read_table(place.out / "results.parquet").to_pylist()
    assert len(rows) == len({row["cell_id"] for row in rows}) == cells
    assert [row["status"] for row in rows] == ["done"] * cells
    done_at = {line["stage"]: line["seq"] for line in place.lines("stage_done")}
    assert max(Counter(line["stage"] for line in place.lines("stage_done")).values()) == 1
    assert not [line for line in place.lines("attempt_started") if line["seq"] > done_at[line["stage"]]]
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = place_in(tmp_path_factory.mktemp("finished"))
    code, out, err = place.run()
    assert code == 0, err
    assert "ONNX Runtime" in out
    return place


def test_every_cell_is_measured_and_checked_and_tuners_have_records(finished: Place) -> None:
    rows = assert_whole(finished, 6)
    ours = [row for row in rows if row["runtime"] == "tvm"]
    assert [row["runtime"] for row in rows].count("onnxruntime") == 1
    assert all(row["output_max_abs_diff"] < 1e-3 for row in ours)
    assert all(row["repeats"] == 5 and row["latency_ms_median"] > 0 for row in rows)
    assert all(row["ratio_to_onnxruntime"] > 0 for row in ours)
    assert {row["tuner"]: row["tuning_trials"] > 0 for row in ours} == {"none": False, "random": True, "xgb": True}
    assert all(trial["run_secs"] for trial in finished.trials())


def test_a_run_leaves_no_process_and_no_file_outside(finished: Place) -> None:
    assert finished.processes() == []
    assert list((finished.folder / "tmp").iterdir()) == []
    assert {p.name for p in finished.folder.iterdir()} == {
        "tiny.onnx", "cluster.yaml", "study.yaml", "out", "tmp", "cache"
    }  # fmt: skip


def test_mlflow_has_a_run_for_each_cell_below_the_one_of_the_sweep(finished: Place) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished.out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    cells = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert (len(parents), len(cells)) == (1, 6)
    assert len({run.info.run_name for run in cells}) == 6
    assert all(run.data.metrics["latency_ms_median"] > 0 for run in cells)
    tuned = next(run for run in cells if run.data.params["tuner"] == "random")
    assert {"model", "target", "opt_level", "device"} <= set(tuned.data.params)


def test_the_same_again_executes_nothing_and_one_more_value_only_the_difference(finished: Place) -> None:
    before = len(finished.lines("attempt_started"))
    code, out, _ = finished.run()
    assert (code, len(finished.lines("attempt_started"))) == (0, before)
    assert "nothing was executed" in out
    finished.write(levels="[0, 1, 3]")
    assert finished.run()[0] == 0
    fresh = finished.lines("attempt_started")[before:]
    # O0: lower once; tune with two tuners; build and measure for three
    assert Counter(line["kind"] for line in fresh) == {"lower": 1, "tune": 2, "build": 3, "measure": 3}
    assert_whole(finished, 9)


def test_a_killed_driver_leaves_nothing_running_and_the_same_command_ends_it(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    driver = place.start()
    wait_for(lambda: len(place.trials()) >= 3 and place.lines("stage_done"), "three trials")
    driver.kill()
    driver.communicate()
    kept = {trial["trace_hash"] for trial in place.trials()}
    done = {line["stage"] for line in place.lines("stage_done")}
    wait_for(lambda: not place.processes(), "all processes of the killed run to end")
    code, _, err = place.run()
    assert code == 0, err
    assert_whole(place, 6)
    assert kept <= {trial["trace_hash"] for trial in place.trials()}
    assert done <= set(read_ledger(place.out).done)


def test_ctrl_c_keeps_everything_and_a_second_run_is_refused_meanwhile(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    driver = place.start()
    wait_for(place.trials, "a trial")
    code, _, err = place.run()
    assert code == 2
    assert err.count("\n") == 1
    assert f"is in use by another `sweep run` (process {driver.pid} on " in err
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, err = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 130, err
    assert "Traceback" not in err
    assert place.processes() == []
    assert list((place.folder / "tmp").iterdir()) == []
    assert read_ledger(place.out).last_status == "interrupted"
    assert (place.out / "report" / "index.html").is_file()
    assert place.run()[0] == 0
    assert_whole(place, 6)


def test_a_model_that_cannot_be_imported_fails_its_cells_alone_and_at_once(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    write_unsupported(tmp_path / "odd.onnx")
    (tmp_path / "study.yaml").write_text(
        "study: tiny\nmodels: [odd.onnx, tiny.onnx]\nmeasure: {repeat: 3, min_repeat_ms: 5}\n"
    )
    code, _, err = place.run()
    assert code == 1
    assert "ImportFailed" in err
    assert "Det" in err
    assert "Traceback" not in err
    state = read_ledger(place.out)
    assert {failed.error_class for failed in state.failed.values()} == {"ImportFailed"}
    import pyarrow.parquet as pq

    rows = pq.read_table(place.out / "results.parquet").to_pylist()
    status = {(row["model"], row["runtime"]): row["status"] for row in rows}
    assert status[("tiny", "tvm")] == status[("tiny", "onnxruntime")] == "done"
    assert status[("odd", "tvm")] == "failed"
