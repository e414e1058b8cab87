"""Cells whose opt level did without a pass say so wherever they are shown."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from sweep.analysis.left_out_passes import left_out_lines
from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.results import Results, derive
from sweep.planning.results.compiling import BuildResult, LowerResult
from sweep.planning.results.measurement import Measurement
from sweep.record.mlflow.run_values import cell_tags
from sweep.report.table import render_results
from sweep.report.table_columns import main_columns
from sweep.report.texts import as_markdown
from sweep.study.spec import Cell

CHANNELS, PACKING = "ChannelsLast (no layout S)", "level 4 (cannot emit this)"


def outcome(level: int, *, lowered: tuple[str, ...] = (), built: tuple[str, ...] = ()) -> CellOutcome:
    cell = Cell("net", "native", "none", level, "NCHW", "float32", 1, "here", "tvm")
    stages: dict[str, Any] = {
        "lower": LowerResult(passes_left_out=lowered),
        "build": BuildResult(passes_left_out=built),
        "measure": Measurement((0.001,) * 6, number=1, output_max_abs_diff=1e-6),
    }
    return CellOutcome(cell, "done", stages=stages)


def results(tmp_path: Any, *cells: CellOutcome) -> Results:
    return derive(SweepOutcome("s", "", cells, 0.0, 1.0, False, {}, {}, tmp_path, baseline="onnxruntime"))


def test_what_was_left_out_is_told_everywhere(tmp_path: Any) -> None:
    whole, without = outcome(0), outcome(4, lowered=(CHANNELS,), built=(CHANNELS, PACKING))
    found = results(tmp_path, whole, without)
    told = f"{CHANNELS}; {PACKING}"
    assert [row["passes_left_out"] for row in found.cells] == [None, told]
    status = next(column for column in main_columns(found.cells) if column.title == "status")
    assert ["passes left out" in status.text(row) for row in found.cells] == [False, True]
    line = f"{found.cells[1]['cell_name']}: {told}"
    assert left_out_lines(found.cells) == [line]
    assert line in as_markdown(found).replace("\\", "")
    console = Console(width=200, record=True, file=StringIO())
    render_results(found, console)
    assert line in console.export_text()
    assert cell_tags(without, "sweeps/s")["sweep.passes_left_out"] == told
    assert "sweep.passes_left_out" not in cell_tags(whole, "sweeps/s")


def test_stages_tell_it_in_the_journal_and_in_their_results() -> None:
    assert LowerResult(passes_left_out=(CHANNELS,)).key_figures == {"passes_left_out": [CHANNELS]}
    assert BuildResult(artifact_bytes=1, passes_left_out=(PACKING,)).key_figures == {
        "artifact_bytes": 1,
        "passes_left_out": [PACKING],
    }
    assert LowerResult().key_figures == {}
    assert "passes_left_out" not in LowerResult().to_json()
    assert LowerResult.from_json(LowerResult(passes_left_out=(CHANNELS,)).to_json()).passes_left_out == (CHANNELS,)


def test_rows_from_before_there_was_the_column_have_no_line() -> None:
    assert left_out_lines([{"cell_name": "net"}]) == []
