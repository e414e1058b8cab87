from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sweep.analysis.rows.results import Results, derive
from sweep.errors import RecordError
from sweep.record.parquet_tables import write_tables
from sweep.report.texts import as_csv, as_json, as_markdown
from sweep.report.writing import FORMATS, print_report, write_report
from tests.record.fixtures import sweep_outcome


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return derive(sweep_outcome(tmp_path))


def test_csv_has_every_column_and_empty_for_nothing(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert list(rows[0]) == list(results.cells[0])
    failed = next(row for row in rows if row["status"] == "failed")
    assert failed["latency_ms_median"] == ""
    assert float(rows[0]["latency_ms_median"]) == results.cells[0]["latency_ms_median"]


def test_csv_of_an_empty_sweep_is_its_heading(results: Results) -> None:
    assert as_csv(replace(results, cells=[])).count("\n") == 1


def test_json_is_strict_and_has_the_answer(results: Results) -> None:
    told = json.loads(as_json(results), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "still 2.11x slower than ONNX Runtime" in told["answer"]
    best = [(one["model"], one["batch"], one["device"]) for one in told["best"]]
    assert best == [("squeezenet", 1, "local-1"), ("squeezenet", 1, "local-2")]
    assert told["cells"] == json.loads(json.dumps(results.cells))


def test_markdown_has_a_table_a_model_and_escapes_names(results: Results) -> None:
    text = as_markdown(results)
    assert "## squeezenet" in text
    header = next(line for line in text.splitlines() if line.startswith("| device"))
    rows = [line for line in text.splitlines() if line.startswith("| local-")]
    assert len(rows) == 14
    assert {line.count("|") for line in (header, *rows)} == {header.count("|")}
    renamed = [{**row, "model": "a|b *c*"} for row in results.cells]
    assert r"## a\|b \*c\*" in as_markdown(replace(results, cells=renamed))


def test_a_report_from_the_folder_says_what_one_from_memory_says(results: Results, tmp_path: Path) -> None:
    write_tables(results, tmp_path)
    written = write_report(results, tmp_path)
    assert [path.name for path in written] == [
        "results.csv",
        "results.json",
        "results.md",
        "checklist.md",
        "index.html",
    ]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == sorted(path.name for path in written)
    for name, path in (("csv", written[0]), ("json", written[1]), ("markdown", written[2])):
        assert printed(tmp_path, name) == path.read_text()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_printed_or_its_file_named(results: Results, tmp_path: Path, name: str) -> None:
    write_tables(results, tmp_path)
    text = printed(tmp_path, name)
    if name in ("html", "parquet"):
        assert Path(text.strip()).is_file()
    else:
        assert "squeezenet" in text


def printed(folder: Path, name: str) -> str:
    stream = io.StringIO()
    print_report(folder, name, Console(file=stream, width=40))
    return stream.getvalue()


def test_a_folder_without_results_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such table"):
        print_report(tmp_path, "table")


def test_a_report_that_cannot_be_written_is_one_clear_error(results: Results, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(RecordError, match="cannot be written"):
        write_report(results, tmp_path, ["csv"])


def test_markdown_of_a_thousand_cells_fits_a_comment_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, opt_levels=(0, 1, 2, 3, 4))
    cells = [
        replace(cell, cell=replace(cell.cell, model=f"network{number}", batch=1 + number % 2))
        for number in range(40)
        for cell in outcome.cells
    ]
    results = derive(replace(outcome, cells=cells))
    assert len(results.cells) > 1000
    text = as_markdown(results)
    assert len(text) < 65_536
    assert f"Of {len(results.cells):,} cells; means are geometric." in text
    assert all(f"| network{number} | " in text for number in range(40))
