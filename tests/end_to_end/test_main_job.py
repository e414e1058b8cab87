"""The main job on real parts: one command, and a real grid runs on real TVM, RPC servers, Ray and MLflow."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweep.analysis.outcome import MEASURED
from tests.end_to_end.conftest import STUDY_ONE, Finished
from tests.end_to_end.place import CLUSTER_ONE, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]

CELLS = 9
AXES = ["model", "target", "tuner", "opt_level", "layout", "precision", "batch", "device", "runtime"]
COLUMNS = """
status error_class error latency_ms_mean latency_ms_median latency_ms_min latency_ms_max latency_ms_std latency_ms_p90
latency_ms_p99 latency_ms_ci_low latency_ms_ci_high repeats number is_stable speedup_vs_untuned artifact_bytes
peak_memory_bytes tuning_trials tuning_s build_s output_max_abs_diff output_cosine_distance tvm_version target_json
device_key mlflow_run_id
""".split()


@pytest.fixture(scope="module")
def rows(finished: Finished) -> pd.DataFrame:
    return pd.read_parquet(finished.out / "results.parquet")


def test_every_cell_has_its_row_once(rows: pd.DataFrame) -> None:
    assert len(rows) == CELLS
    assert not rows.duplicated(AXES).any()
    assert set(rows.status) <= {*MEASURED}
    assert {*AXES, *COLUMNS} <= set(rows.columns)


def test_every_output_was_compared_with_the_reference(rows: pd.DataFrame) -> None:
    assert rows.output_max_abs_diff.notna().all()
    assert (rows.output_max_abs_diff < 1e-3).all()
    assert (rows.output_cosine_distance < 1e-3).all()


def test_the_rival_is_in_the_same_table(rows: pd.DataFrame) -> None:
    rival = rows[rows.runtime == "onnxruntime"]

    assert sorted(rival.device) == ["here", "there"]
    assert rival.opt_level.isna().all()
    assert (rival.latency_ms_median > 0).all()


def test_latencies_are_whole(rows: pd.DataFrame) -> None:
    assert (rows.repeats == 3).all()
    assert (rows.latency_ms_min <= rows.latency_ms_median).all()
    assert (rows.latency_ms_median <= rows.latency_ms_max).all()
    assert (rows.latency_ms_ci_low <= rows.latency_ms_ci_high).all()
    assert rows.latency_ms_p99.isna().all(), "three values have no 99th percentile"


def test_tuned_cells_were_tuned_and_the_others_not(rows: pd.DataFrame) -> None:
    tuned, untuned = rows[rows.tuner.isin(["random", "xgb"])], rows[rows.tuner == "none"]

    assert (len(tuned), len(untuned)) == (3, 4)
    assert (tuned.groupby(["tuner", "device"]).tuning_trials.sum() > 0).all()
    assert (tuned.tuned_tasks > 0).all()
    assert (untuned.tuning_trials == 0).all()
    clean = untuned[untuned.status == "done"]
    assert (clean.speedup_vs_untuned == 1).all()
    assert tuned.speedup_vs_untuned.notna().all() or len(clean) < len(untuned)


def test_artifacts_say_what_they_were_built_for(rows: pd.DataFrame) -> None:
    built = rows[rows.runtime == "tvm"]

    assert (built.artifact_bytes > 0).all()
    assert built.tvm_version.str.startswith("0.").all()
    assert {json.loads(text)["kind"] for text in built.target_json} == {"llvm"}
    assert all(json.loads(text)["num-cores"] == 1 for text in built.target_json)


def test_every_repeat_is_kept(finished: Finished) -> None:
    measurements = pd.read_parquet(finished.out / "measurements.parquet")

    kinds = measurements.groupby("kind").seconds.count()
    assert kinds["repeat"] == 3 * CELLS
    assert kinds["warm-up"] == CELLS, "one each"
    assert set(kinds.index) <= {"repeat", "warm-up", "set aside", "final"}
    assert (measurements.seconds > 0).all()


def test_every_trial_is_kept_in_both_forms(finished: Finished) -> None:
    records = pd.read_parquet(finished.out / "tuning_records.parquet")

    assert len(records) == len(finished.place.trials()) > 0
    assert records.run_secs.notna().any()
    assert set(records.device) == {"here", "there"}
    for folder in (finished.out / "records").glob("*/*"):
        names = {path.name for path in folder.iterdir()}
        assert {"database_workload.json", "database_tuning_record.json", "trials.jsonl"} <= names
        assert not [name for name in names if name.startswith("candidates-")]


def test_the_folder_holds_what_is_promised(finished: Finished) -> None:
    names = {path.name for path in finished.out.iterdir()}

    assert {
        *("study.yaml", "plan.json", "ledger.jsonl", "results.parquet", "measurements.parquet"),
        *("tuning_tasks.parquet", "tuning_records.parquet", "artifacts", "report", "mlflow.db", "mlartifacts"),
    } <= names
    assert not list(finished.out.rglob("*.part*"))
    assert not list((finished.out / "artifacts").glob("*/.*")), "no folder of a half-done stage"


def test_the_report_is_there(finished: Finished) -> None:
    page = (finished.out / "report" / "index.html").read_text()

    assert "What does tuning buy for a network that takes no time?" in page
    assert not re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="https?://', page)


def test_the_terminal_shows_table_and_places(finished: Finished) -> None:
    out = finished.ended.out

    assert "ONNX Runtime" in out
    told = re.search(r"((?:\d+ (?:done|tainted)(?:, )?)+) in \d", " ".join(out.split()))  # tainted: on a busy machine
    assert told is not None
    assert sum(map(int, re.findall(r"\d+", told[1]))) == CELLS
    assert str(finished.out / "report" / "index.html") in out
    assert "sweep ui out" in out


def test_progress_is_all_that_goes_to_standard_error(finished: Finished) -> None:
    """No warning of Ray, TVM or MLflow among it, which a person could not act upon."""
    lines = (
        "stage   ",
        "first   ",
        "done    ",
        "tuning  ",
        "so far  ",
        "ended: ",
        "again   ",
        "tainted ",
        "early   ",
        "        further",
        "metrics: ",
    )
    known = re.compile("|".join([r"\d+ cells (?:to measure|wait up to)", *lines]))

    assert [line for line in finished.ended.err.splitlines() if not known.match(line)] == []
    told = len(re.findall("^(?:done    |tainted )tiny", finished.ended.err, re.MULTILINE))
    is_cut_off = "        further" in finished.ended.err  # on a busy machine all are tainted, for the same reason
    assert told < CELLS if is_cut_off else told == CELLS
    assert f"ended: {CELLS}/{CELLS} cells" in finished.ended.err


def test_each_stage_was_attempted_once(finished: Finished) -> None:
    started = [event["stage"] for event in finished.place.events("attempt_started")]
    plan = json.loads((finished.out / "plan.json").read_text())

    assert sorted(started) == sorted(plan["stages"])
    assert [event["status"] for event in finished.place.events("run_ended")] == ["done"]


def test_nothing_is_left_on_the_machine(finished: Finished) -> None:
    assert finished.place.processes() == []
    assert finished.place.leftovers([finished.pid]) == []


# -- MLflow -----------------------------------------------------------------------------------------------------------


def open_store(sweep_dir: Path) -> Any:
    from sweep.record.mlflow.tracking_store import embedded_store, open_client

    return open_client(embedded_store(sweep_dir)[0])


def runs_of(sweep_dir: Path) -> list[Any]:
    store = open_store(sweep_dir)
    return list(store.search_runs([store.get_experiment_by_name("main-job").experiment_id], max_results=100))


@pytest.fixture(scope="module")
def store(finished: Finished) -> Any:
    return open_store(finished.out)


def test_mlflow_has_a_run_for_the_sweep_and_one_for_each_cell(finished: Finished, rows: pd.DataFrame) -> None:
    runs = runs_of(finished.out)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]

    assert len(parents) == 1
    assert len(children) == CELLS
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.info.run_name for run in children}) == CELLS
    assert {run.info.run_id for run in children} == set(rows.mlflow_run_id)


def test_a_cell_s_run_has_axes_and_latencies(store: Any, rows: pd.DataFrame) -> None:
    row = rows[(rows.tuner == "random") & (rows.opt_level == 3) & (rows.device == "there")].iloc[0]

    run = store.get_run(row.mlflow_run_id)

    assert {axis: run.data.params[axis] for axis in AXES} == {
        **{axis: str(row[axis]) for axis in AXES},
        "opt_level": "3",
    }
    assert run.data.metrics["latency_ms_median"] == pytest.approx(row.latency_ms_median)
    assert len(store.get_metric_history(row.mlflow_run_id, "repeats/latency_ms")) == 3


def test_the_sweep_s_run_has_tables_report_and_logs(store: Any) -> None:
    experiment = store.get_experiment_by_name("main-job")
    (parent,) = store.search_runs([experiment.experiment_id], "tags.mlflow.parentRunId IS NULL")

    assert {"results", "report", "tuning_logs"} <= {item.path for item in store.list_artifacts(parent.info.run_id)}


# -- again ------------------------------------------------------------------------------------------------------------


def test_the_same_again_executes_nothing(finished: Finished) -> None:
    ledger = (finished.out / "ledger.jsonl").read_bytes()

    again = finished.place.run()

    assert again.code == 0, again.err
    assert "nothing was executed" in again.out
    assert (finished.out / "ledger.jsonl").read_bytes() == ledger
    assert finished.place.processes() == []


@pytest.mark.slow
def test_a_value_more_is_the_difference_alone_also_in_a_copy_of_the_folder(
    finished_inline: Finished, tmp_path: Path
) -> None:
    """Results name their files from the sweep directory, so that it can be moved."""
    before = len(finished_inline.place.events("attempt_started"))
    files_before = sorted(finished_inline.out.rglob("*"))
    study = STUDY_ONE.replace("[1, 3]", "[1, 2, 3]")
    place = Place(tmp_path / "grown", study, CLUSTER_ONE.format(engine="inline"))
    shutil.copytree(finished_inline.out, place.out)

    grown = place.run()

    assert grown.code == 0, grown.err
    started = place.events("attempt_started")[before:]
    assert Counter(event["kind"] for event in started) == {"lower": 1, "tune": 2, "build": 3, "measure": 3}
    rows = pd.read_parquet(place.out / "results.parquet")
    assert len(rows) == 8
    assert set(rows.status) <= {*MEASURED}
    assert sorted(finished_inline.out.rglob("*")) == files_before, "nothing is written where the folder was before"
    runs = runs_of(place.out)
    assert len(runs) == 1 + 8
    assert all(run.info.artifact_uri.startswith((place.out / "mlartifacts").as_uri()) for run in runs)


@pytest.mark.slow
def test_without_ray_it_is_the_same(finished: Finished, finished_inline: Finished) -> None:
    with_ray = pd.read_parquet(finished.out / "results.parquet")
    without = pd.read_parquet(finished_inline.out / "results.parquet")

    assert list(without.columns) == list(with_ray.columns)
    assert set(without.status) <= {*MEASURED}
    assert set(without.cell_id) == set(with_ray[with_ray.device == "here"].cell_id)
    assert (without[without.tuner == "random"].tuned_tasks > 0).all()
    assert without.output_max_abs_diff.max() < 1e-3
    assert finished_inline.place.processes() == []
    assert finished_inline.place.leftovers([finished_inline.pid]) == []
