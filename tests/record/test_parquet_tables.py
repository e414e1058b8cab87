from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.analysis.rows.results import derive
from sweep.analysis.rows.saved import read_table
from sweep.errors import RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.record.parquet_tables import (
    read_measurements,
    read_results,
    read_saved,
    write_tables,
)
from sweep.record.schemas import (
    MEASUREMENTS,
    TUNING_CURVES,
    TUNING_RECORDS,
    TUNING_TASKS,
    results_schema,
    schema_of,
)
from tests.record.fixtures import sweep_outcome, write_trials

PROMISED = {
    "model",
    "target",
    "tuner",
    "opt_level",
    "layout",
    "precision",
    "batch",
    "device",
    "runtime",
    "status",
    "error_class",
    "error",
    "latency_ms_mean",
    "latency_ms_median",
    "latency_ms_min",
    "latency_ms_max",
    "latency_ms_std",
    "latency_ms_p90",
    "latency_ms_p99",
    "latency_ms_ci_low",
    "latency_ms_ci_high",
    "repeats",
    "number",
    "is_stable",
    "speedup_vs_untuned",
    "artifact_bytes",
    "peak_memory_bytes",
    "tuning_trials",
    "tuning_s",
    "build_s",
    "output_max_abs_diff",
    "output_cosine_distance",
    "tvm_version",
    "target_json",
    "device_key",
    "mlflow_run_id",
    "cell_id",
    "cell_name",
    "study",
    "failed_stage",
    "tuning_valid",
    "tuning_failed",
    "tuning_naive_trials",
    "tuned_tasks",
    "untuned_tasks",
    "validation_gap_median",
    "records_dir",
    "ratio_to_onnxruntime",
}


@pytest.mark.parametrize(("name", "column"), [("results", "model"), ("curves", "trial"), ("tasks", "cell_id")])
def test_a_table_that_lacks_a_column_of_all_versions_is_named(tmp_path: Path, name: str, column: str) -> None:
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path)
    path = SweepDir(tmp_path).table(name)
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([f"{each}_" if each == column else each for each in table.column_names]), path)
    with pytest.raises(
        RecordError, match=rf"{path.name}: not a result table of a sweep: it lacks the column '{column}'"
    ):
        read_saved(tmp_path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    results = derive(sweep_outcome(tmp_path))
    write_tables(results, tmp_path)
    saved = read_saved(tmp_path)
    assert saved.summary == results.summary
    assert list(saved.cells) == list(results.cells)
    assert list(saved.measurements) == list(results.measurements)
    assert list(saved.curves) == list(results.curves)
    assert list(saved.tasks) == list(results.tasks)
    assert saved.tasks


def test_promised_columns_are_there(tmp_path: Path) -> None:
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path)
    assert set(read_results(tmp_path).column_names) >= PROMISED


@pytest.mark.parametrize("cells", [0, 1, 14])
def test_schemas_are_the_same_whatever_the_sweep_holds(tmp_path: Path, cells: int) -> None:
    outcome = sweep_outcome(tmp_path)
    write_tables(derive(replace(outcome, cells=outcome.cells[:cells])), tmp_path)
    assert read_results(tmp_path).schema.equals(results_schema())
    assert read_results(tmp_path).num_rows == cells
    assert read_measurements(tmp_path).schema.equals(schema_of("measurements"))
    for table in ("curves", "tasks", "records"):
        assert read_table(tmp_path, table).schema.equals(schema_of(table))


def test_columns_say_their_unit_and_meaning(tmp_path: Path) -> None:
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path)
    field = read_results(tmp_path).schema.field("latency_ms_median")
    assert field.metadata[b"unit"] == b"ms"
    for schema in (results_schema(), MEASUREMENTS, TUNING_CURVES, TUNING_RECORDS, TUNING_TASKS):
        assert all(column.metadata[b"description"] for column in schema)


def test_trials_are_gathered_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    write_trials(tmp_path, torn=True)
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path)
    rows = read_table(tmp_path, "records").to_pylist()
    assert [row["trial"] for row in rows] == [0, 1, 2]
    assert [row["run_secs"] for row in rows] == [[1e-3, 1.1e-3], [1e-3, 1.1e-3], None]
    assert rows[2]["error_class"] == "BuildFailed"
    assert [row["record"] for row in rows] == [None, 1, None]
    assert [row["validated_s"] for row in rows] == [None, 1.08e-3, None]
    assert (rows[1]["design"], rows[1]["origin"]) == (0, "warm start")
    assert rows[0]["target"] == '{"kind": "llvm"}'
    assert rows[0]["log"] == "records/0123456789ab/xgb-local-1/trials.jsonl"


@pytest.mark.parametrize("line", [b"[]", b"null", b"", b"\xff", b'{"workload": 1, "t'])
def test_a_damaged_line_of_a_log_costs_itself(line: bytes, tmp_path: Path) -> None:
    write_trials(tmp_path)
    for log in (tmp_path / "records").glob("*/*/*.jsonl"):
        log.write_bytes(line + b"\n" + log.read_bytes())
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path)
    rows = read_table(tmp_path, "records").to_pylist()
    assert [(row["trial"], row["validated_s"]) for row in rows] == [(0, None), (1, 1.08e-3), (2, None)]


def test_nothing_but_whole_files_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = derive(sweep_outcome(tmp_path))
    write_tables(results, tmp_path)
    before = read_results(tmp_path)

    def half_written(table: pa.Table, path: Path, **_: object) -> None:
        path.write_bytes(b"PAR1 and no more")
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", half_written)
    with pytest.raises(RecordError, match=r"results\.parquet: cannot be written: No space left"):
        write_tables(results, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "measurements.parquet",
        "results.parquet",
        "tuning_curves.parquet",
        "tuning_records.parquet",
        "tuning_tasks.parquet",
    ]
    assert read_results(tmp_path).equals(before)


def test_a_missing_or_foreign_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such table"):
        read_results(tmp_path)
    (tmp_path / "results.parquet").write_bytes(b"not parquet")
    with pytest.raises(RecordError, match="cannot be read"):
        read_results(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "results.parquet")
    with pytest.raises(RecordError, match="not a result table"):
        read_saved(tmp_path)


def test_a_row_with_an_unknown_key_is_refused_not_dropped(tmp_path: Path) -> None:
    results = derive(sweep_outcome(tmp_path))
    with pytest.raises(RecordError, match="no column takes: surprise"):
        write_tables(replace(results, cells=[{**results.cells[0], "surprise": 1}]), tmp_path)


def test_a_table_that_the_study_asks_for_no_longer_goes(tmp_path: Path) -> None:
    results = derive(sweep_outcome(tmp_path))
    layer = {field.name: None for field in schema_of("layers")} | {"model": "net"}
    write_tables(replace(results, layers=[layer]), tmp_path)
    assert read_table(tmp_path, "layers").num_rows == 1
    write_tables(replace(results, layers=[]), tmp_path)
    with pytest.raises(RecordError):
        read_table(tmp_path, "layers")
    write_tables(replace(results, layers=[]), tmp_path)
