"""A result column from outside the package goes all the way: rows, Parquet, MLflow, page, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sweep.analysis.rows.columns import COLUMNS
from sweep.analysis.rows.results import Results, derive
from sweep.errors import StudyError
from sweep.record.mlflow.run_values import metrics
from sweep.record.parquet_tables import read_saved, write_tables
from sweep.record.table_source import is_current, source_of
from sweep.report.page import render_page
from sweep.report.table_columns import detail_columns
from sweep.report.texts import as_json
from tests.record.fixtures import sweep_outcome
from tests.seams.toy_columns import BYTES_PER_MS


@pytest.fixture
def brought() -> Iterator[None]:
    """The column is there, as if a package had brought it."""
    with COLUMNS.registered("bytes_per_ms", BYTES_PER_MS):
        yield


@pytest.fixture
def results(brought: None, tmp_path: Path) -> Results:
    return derive(sweep_outcome(tmp_path))


def test_each_row_has_its_value_and_a_rival_without_a_library_has_none(results: Results) -> None:
    compiled = next(row for row in results.cells if row["runtime"] == "tvm" and row["status"] == "done")
    assert compiled["bytes_per_ms"] == pytest.approx(compiled["artifact_bytes"] / compiled["latency_ms_median"])
    assert {row["bytes_per_ms"] for row in results.cells if row["runtime"] != "tvm"} == {None}


def test_the_table_has_it_with_unit_and_meaning_and_is_read_back(results: Results, tmp_path: Path) -> None:
    (path, *_) = write_tables(results, tmp_path)
    field = pq.read_schema(path).field("bytes_per_ms")
    assert (str(field.type), field.metadata[b"unit"]) == ("double", b"bytes/ms")
    assert field.metadata[b"description"] == b"size of the library over the median latency"
    assert read_saved(tmp_path).cells == list(results.cells)


def test_tables_that_were_written_without_it_are_made_anew(tmp_path: Path) -> None:
    write_tables(derive(sweep_outcome(tmp_path)), tmp_path, source_of(tmp_path))
    assert is_current(tmp_path)
    with COLUMNS.registered("bytes_per_ms", BYTES_PER_MS):
        assert not is_current(tmp_path)


def test_mlflow_has_it_as_a_metric(brought: None, tmp_path: Path) -> None:
    outcome = next(each for each in sweep_outcome(tmp_path).cells if each.cell.runtime == "tvm")
    values = {point.name: point.value for point in metrics(outcome, 0.0)}
    assert values["size/bytes_per_ms"] == pytest.approx(values["size/artifact_bytes"] / values["latency_ms_median"])


def test_page_and_json_show_it_behind_the_size(results: Results) -> None:
    titles = [column.title for column in detail_columns(results.cells)]
    assert titles[titles.index("size") + 1] == "size rate"
    assert "bytes of the library for each millisecond" in render_page(results)
    cells = json.loads(as_json(results))["cells"]
    assert [cell["bytes_per_ms"] for cell in cells] == [row["bytes_per_ms"] for row in results.cells]


def test_a_column_is_not_replaced_in_silence_and_an_unknown_one_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a result column 'build_s' already"):
        COLUMNS.register("build_s", BYTES_PER_MS)
    with pytest.raises(StudyError, match="is no result column, did you mean 'build_s'"):
        COLUMNS.get("build_ms")
