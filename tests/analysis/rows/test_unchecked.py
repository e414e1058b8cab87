"""Cells whose outputs nothing was compared with: named with their reason, and never what anything is claimed by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import best_cells, marks
from sweep.analysis.comparing.comparison import compare_cells
from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.results import Results, SweepSummary, derive
from sweep.analysis.rows.unchecked import is_unchecked, unchecked_lines
from sweep.planning.results.compiling import BuildResult, ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.record.mlflow.run_values import cell_tags
from sweep.report.table_columns import main_columns
from sweep.report.texts import as_markdown
from sweep.study.spec import Cell
from tests.analysis.answering.mixed_grids import mixed_grids

SUMMARY = SweepSummary("s", "", 0.0, 1.0, False, {}, {}, {})
WHY = "Unsupported model IR version: 14, max supported IR version: 13"


def outcome(level: int | None, ms: float, model: str = "net", *, is_checked: bool = True) -> CellOutcome:
    runtime = "onnxruntime" if level is None else "tvm"
    compiled = level is not None
    native, tuner = ("native", "none") if compiled else ("-", "-")
    cell = Cell(model, native, tuner, level, "NCHW", "float32", 1, "here", runtime)
    measured = Measurement((ms / 1e3,) * 6, number=1, output_max_abs_diff=1e-6 if is_checked else None)
    imported = ImportResult(reference=is_checked, reference_error=None if is_checked else WHY)
    stages: dict[str, Any] = {"import": imported, "measure": measured} | ({"build": BuildResult()} if compiled else {})
    return CellOutcome(cell, "done", stages=stages)


def results(tmp_path: Any, *cells: CellOutcome) -> Results:
    return derive(SweepOutcome("s", "", cells, 0.0, 1.0, False, {}, {}, tmp_path, baseline="onnxruntime"))


def test_a_network_that_nothing_was_compared_with_has_no_best_and_says_why(tmp_path: Any) -> None:
    """An Add of opset 6 whose output was wrong by 0.83 of 1 was done, best, and without a word."""
    found = results(tmp_path, outcome(0, 1.0, is_checked=False), outcome(3, 0.5, is_checked=False))
    assert [row["output_check"] for row in found.cells] == ["not compared"] * 2
    assert [row["output_check_reason"] for row in found.cells] == [WHY] * 2
    assert [row["latency_bound"] for row in found.cells] == [None, None]
    assert marks(found.cells) == {}
    assert answer(found) == (
        "No latency that can be relied on: 2 cells not compared.\n"
        f"Left out: 2 cells whose outputs nothing was compared with ({WHY})."
    )
    status = next(column for column in main_columns(found.cells) if column.title == "status")
    assert [status.text(row) for row in found.cells] == ["not compared", "not compared"]
    assert unchecked_lines(found.cells) == [f"{found.cells[0]['cell_name']} and 1 more: {WHY}"]
    assert f"- net native none O0 here and 1 more: {WHY}" in as_markdown(found).replace("\\", "")


def test_an_unchecked_runtime_is_no_baseline(tmp_path: Any) -> None:
    found = results(tmp_path, outcome(3, 2.0), outcome(None, 1.0, is_checked=False))
    compiled, other = found.cells
    assert compiled["ratio_to_baseline"] is None
    assert compiled["ratio_to_onnxruntime"] is None
    assert other["ratio_to_baseline"] is None
    assert marks(found.cells) == {compiled["cell_id"]: "best"}
    assert f"Left out: 1 cell whose outputs nothing was compared with ({WHY})." in answer(found)


def test_other_models_keep_their_best(tmp_path: Any) -> None:
    found = results(tmp_path, outcome(3, 2.0, "one"), outcome(3, 1.0, "two", is_checked=False))
    assert marks(found.cells) == {found.cells[0]["cell_id"]: "best"}
    assert "In 1 of 2 model-device pairs: no latency that can be relied on: 1 cell not compared." in answer(found)
    assert WHY in answer(found)


def test_no_comparison_claims_anything_of_an_unchecked_cell(tmp_path: Any) -> None:
    found = results(tmp_path, outcome(0, 10.0), outcome(3, 1.0, is_checked=False))
    first, second = (MeasuredCell.of(row, found.measurements) for row in found.cells)
    many = PairedBlocks(tuple(((0.010,) * 3, (0.001,) * 3) for _ in range(20)))
    for compared in (compare_cells(first, second), compare_cells(first, second, more=many)):
        assert str(compared.found.verdict) == "AMBIGUOUS"
        assert any(WHY in note for note in compared.notes())


def test_mlflow_has_the_mark_and_the_reason() -> None:
    tags = cell_tags(outcome(3, 1.0, is_checked=False), "d")
    assert tags["sweep.output_check"] == "not compared"
    assert tags["sweep.output_check_reason"] == WHY
    assert WHY in tags["mlflow.note.content"]
    assert tags["sweep.latency_bound"] == "none"
    assert cell_tags(outcome(3, 1.0), "d")["sweep.output_check"] == "compared"


@given(mixed_grids(), st.data())
def test_whatever_is_unchecked_leads_nothing(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    rows = [
        {**row, "output_check": "not compared", "output_max_abs_diff": None}
        if index in chosen and row["latency_ms_median"] is not None
        else row
        for index, row in enumerate(rows)
    ]
    unchecked = {row["cell_id"] for row in rows if is_unchecked(row)}
    assert not unchecked & set(marks(rows))
    for best in best_cells(rows):
        named = [best.row, *(rival.against for rival in best.rivals), *best.still_open, *best.own.ties]
        named += [best.to_ship.row] if best.to_ship else []
        named += [best.against_untuned.against] if best.against_untuned else []
        assert not unchecked & {row["cell_id"] for row in named}
    assert not any(Reading.of(row).bound for row in rows if row["cell_id"] in unchecked)
    told = answer(Results(SUMMARY, rows))
    assert not unchecked or "whose outputs nothing was compared with" in told


@pytest.mark.parametrize(("difference", "expected"), [(None, True), (0.0, False)])
def test_a_row_from_before_the_column_tells_by_its_difference(difference: float | None, expected: bool) -> None:
    row = {"latency_ms_median": 1.0, "output_max_abs_diff": difference, "status": "done", "error": None}
    assert is_unchecked(row) is expected
    assert is_unchecked({"latency_ms_median": 1.0}) is False, "a table without the column says nothing"
