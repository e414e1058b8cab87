"""Tables that are damaged, or that another version has written, are made again from plan and ledger, and it is said."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sweep
from sweep.analysis.rows.saved import SUMMARY_KEY, read_saved, read_table
from sweep.api.commands import run as run_command
from sweep.api.session.table_cache import current_results
from sweep.cli import main
from sweep.errors import RecordError, SweepError
from sweep.files.sweep_dir import TABLES
from tests.api.session.simulated_sweep import begun, run_again

STUDY = "study: small\nmodels: [onnx-light:squeezenet]\ndevices: [sim-0]\nopt_levels: [0, 3]\ntuners: [{name: none}]\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("damaged"), STUDY)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "it")


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x10
    path.write_bytes(bytes(data))


def with_metadata(path: Path, change: dict[bytes, bytes]) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **change}), path)


def with_text_for(path: Path, column: str) -> None:
    """As a version that had this column as text."""
    table = pq.read_table(path)
    index = table.schema.get_field_index(column)
    texts = pa.array([str(value) for value in table.column(column).to_pylist()])
    pq.write_table(table.set_column(index, column, texts).replace_schema_metadata(table.schema.metadata), path)


def with_a_summary(path: Path, **change: Any) -> None:
    about = json.loads(pq.read_schema(path).metadata[SUMMARY_KEY])
    with_metadata(path, {SUMMARY_KEY: json.dumps({**about, **change}).encode()})


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a byte of the data": (lambda out: flip(out / "results.parquet", 0.05), "results.parquet is damaged"),
    "the last byte": (lambda out: flip(out / "results.parquet", 1.0), "results.parquet is damaged"),
    "no bytes": (lambda out: (out / "measurements.parquet").write_bytes(b""), "measurements.parquet is damaged"),
    "half": (
        lambda out: (out / "tuning_tasks.parquet").write_bytes((out / "tuning_tasks.parquet").read_bytes()[:900]),
        "tuning_tasks.parquet is damaged",
    ),
    "text": (lambda out: (out / "tuning_records.parquet").write_text("a,b\n"), "tuning_records.parquet is damaged"),
    "another type": (
        lambda out: with_text_for(out / "results.parquet", "latency_ms_median"),
        "results.parquet is of another version: its column latency_ms_median is string, not double",
    ),
    "a newer version": (
        lambda out: with_metadata(out / "measurements.parquet", {b"sweep.version": b"2"}),
        "measurements.parquet is of another version (2)",
    ),
    "another summary": (
        lambda out: with_a_summary(out / "results.parquet", started_t="soon"),
        "results.parquet is damaged",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_report_and_run_make_them_again_and_say_so(
    what: str, copy: Path, finished: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, (damage, said) = read_saved(finished / "out"), DAMAGES[what]
    damage(copy / "out")
    assert current_results(copy / "out").cells == expected.cells
    monkeypatch.setattr(run_command, "EngineSession", None)  # nothing is to be executed
    damage(copy / "out")
    assert run_again(copy).executed == 0
    for name in TABLES:
        assert read_table(copy / "out", name).to_pylist() == read_table(finished / "out", name).to_pylist()
    assert caplog.text.count(said) >= (1 if what == "another summary" else 2)
    assert "made again from plan and ledger" in caplog.text


def test_open_table_makes_it_again(copy: Path, finished: Path) -> None:
    flip(copy / "out" / "measurements.parquet", 0.1)
    assert sweep.open_table(copy / "out", "measurements").equals(read_table(finished / "out", "measurements"))


def test_a_folder_without_a_plan_says_what_to_do(
    copy: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    flip(copy / "out" / "results.parquet", 0.05)
    (copy / "out" / "plan.json").write_text("{")
    assert main(["report", str(copy / "out")]) != 0
    assert "results.parquet" in capsys.readouterr().err
    assert "the same `sweep run` again writes it anew" in caplog.text


def test_a_table_that_says_it_is_huge_is_not_read(tmp_path: Path) -> None:
    """30 million nulls are 54 kB, and 30 MB once they are read; a hundred such columns would be 3 GB."""
    rows = 30_000_000
    pq.write_table(pa.table({"x": pa.nulls(rows, pa.int8())}), tmp_path / "results.parquet", row_group_size=rows)
    assert (tmp_path / "results.parquet").stat().st_size < 100_000
    with pytest.raises(RecordError, match="says that it has 30,000,000 rows"):
        read_table(tmp_path, "results")


@pytest.mark.parametrize("name", ["results", "measurements"])
def test_random_bytes_change_no_value(name: str, copy: Path, finished: Path) -> None:
    """Without checksums of the pages, 9 % of them did."""
    path, draw = copy / "out" / TABLES[name], random.Random(7)
    right = path.read_bytes()
    rows = read_table(finished / "out", name).to_pylist()
    for _ in range(8):
        path.write_bytes(right)
        flip(path, draw.random())
        try:
            assert sweep.open_table(copy / "out", name).to_pylist() == rows
        except SweepError as error:
            raise AssertionError("it could be made again") from error


def test_a_table_of_an_earlier_version_that_is_all_there_is_gets_the_columns_of_now(copy: Path) -> None:
    path = copy / "out" / "tuning_records.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["origin"]), path)
    (copy / "out" / "plan.json").write_text("{")
    assert sweep.open_table(copy / "out", "records").column("origin").null_count == 0
    with_text_for(path, "trial")
    with pytest.raises(RecordError, match="its column trial is "):
        sweep.open_table(copy / "out", "records")
