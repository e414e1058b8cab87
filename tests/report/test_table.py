from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sweep.analysis.rows.results import derive
from sweep.report.table import failure_lines, render_results, time_line
from sweep.report.table_columns import main_columns
from tests.record.fixtures import TAINT, sweep_outcome, tainted


def shown(path: Path, width: int = 120, **options: object) -> str:
    stream = io.StringIO()
    render_results(derive(sweep_outcome(path, **options)), Console(file=stream, width=width))  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_table_a_model_with_what_a_person_decides_by(tmp_path: Path) -> None:
    text = shown(tmp_path, models=("squeezenet", "shufflenet"))
    titles = [
        line for line in text.splitlines() if line.startswith(("squeezenet ", "shufflenet ")) and "target" in line
    ]
    assert len(titles) == 2
    header = next(line for line in text.splitlines() if "median ms" in line)
    assert header.split() == "device tuner opt median ms ± speed-up time / ORT status".split()


def test_rows_are_sorted_by_device_then_median_and_the_best_is_marked(tmp_path: Path) -> None:
    lines = shown(tmp_path).splitlines()
    assert lines[2].split()[:4] == ["local-1", "ONNX", "Runtime", "-"]
    assert lines[3].split() == ["local-1", "xgb", "O3", "2.16", "0.3", "%", "7.41x", "2.11x", "best", "so", "far"]
    assert lines[7].split()[:4] == ["local-1", "untuned", "O0", "21.6"]
    assert lines[8].endswith("failed in tune")


def test_a_tainted_cell_shows_its_numbers_its_mark_and_why(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    best = next(cell for cell in outcome.cells if cell.cell.tuner == "xgb" and cell.status == "done")
    cells = [tainted(cell) if cell is best else cell for cell in outcome.cells]
    stream = io.StringIO()
    render_results(derive(replace(outcome, cells=cells)), Console(file=stream, width=120))
    row = next(
        line for line in stream.getvalue().splitlines() if line.rstrip().endswith(" tainted, faster") and "xgb" in line
    )
    assert row.split()[:4] == [best.cell.device, "xgb", f"O{best.cell.opt_level}", "1.08"]
    assert f"{best.cell.name}: tainted: {TAINT}" in stream.getvalue()
    assert not any(
        line.rstrip().endswith(("best", "best so far")) and best.cell.device in line
        for line in stream.getvalue().splitlines()
    )


def test_axes_that_vary_become_columns(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    cells = [
        replace(cell, cell=replace(cell.cell, target="avx2")) if cell.cell.opt_level == 0 else cell
        for cell in outcome.cells
    ]
    stream = io.StringIO()
    render_results(derive(replace(outcome, cells=cells)), Console(file=stream, width=120))
    assert "target" in next(line for line in stream.getvalue().splitlines() if "median ms" in line)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
def test_no_line_leaves_the_terminal_and_the_median_always_stays(tmp_path: Path, width: int) -> None:
    text = shown(tmp_path, width)
    assert max(map(len, text.splitlines())) <= width
    assert "median ms" in text
    assert "2.16" in text
    assert "ONNX Runtime" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_state_of_a_cell_is_never_the_column_that_is_dropped(tmp_path: Path, width: int) -> None:
    lines = shown(tmp_path, width).splitlines()
    assert next(line for line in lines if "median ms" in line).rstrip().endswith("status")
    assert any(line.rstrip().endswith(("best", "best so far")) for line in lines)
    assert any(line.rstrip().endswith("failed in tune") for line in lines)


def test_the_pauses_between_runs_are_not_counted(tmp_path: Path) -> None:
    results = derive(replace(sweep_outcome(tmp_path), worked_s=61.0))
    assert "1 skipped in 1 min 01 s; stages took" in time_line(results)


def test_the_answer_failures_and_times_follow(tmp_path: Path) -> None:
    text = " ".join(shown(tmp_path).split())
    assert "still 2.11x slower than ONNX Runtime; open: 1 failed" in text
    assert "squeezenet native xgb O0 local-1: failed in tune (TuneFailed): no valid trial" in text
    assert "12 done, 1 failed, 1 skipped in 7 min 12 s; stages took tune" in text


def test_names_with_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, question="Is [bold]this[/bold] [red] fine?")
    stream = io.StringIO()
    render_results(derive(outcome), Console(file=stream, width=120))
    assert "Is [bold]this[/bold] [red] fine?" in stream.getvalue()


def test_cells_of_one_reason_share_a_line(tmp_path: Path) -> None:
    rows = derive(sweep_outcome(tmp_path, models=("squeezenet", "shufflenet", "resnet50"))).cells
    lines = failure_lines(rows)
    assert len(lines) == 2
    assert lines[0].startswith("squeezenet native xgb O0 local-1 and 2 more: failed in tune (TuneFailed): ")
    distinct = [dict(row, status="failed", error=f"reason {i}") for i, row in enumerate(rows)]
    assert failure_lines(distinct, shown=3)[-1] == f"... and {len(rows) - 3} other reasons; see the report"


def test_an_empty_sweep_is_said_to_be_empty(tmp_path: Path) -> None:
    results = derive(replace(sweep_outcome(tmp_path), cells=[], stage_seconds={}))
    stream = io.StringIO()
    render_results(results, Console(file=stream, width=80))
    assert "There is no cell: the grid is empty." in stream.getvalue()
    assert time_line(results) == ""


def test_a_large_table_is_cut_and_says_so(tmp_path: Path) -> None:
    """What is left out is slower than what is shown of the same batch size."""
    outcome = sweep_outcome(tmp_path, devices=("local-1",), opt_levels=(0, 1, 2, 3, 4), troubles=False)
    batches = 4
    cells = [
        replace(cell, cell=replace(cell.cell, batch=batch, layout=f"L{number}"))
        for batch in range(1, batches + 1)
        for number in range(10)
        for cell in outcome.cells
    ]
    stream = io.StringIO()
    render_results(derive(replace(outcome, cells=cells)), Console(file=stream, width=120))
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("local-1 ")]
    assert len(lines) < 250
    assert sum(line.rstrip().endswith("best") for line in lines) == batches
    assert "slower or failed cells; --format csv has all" in stream.getvalue()


def test_comparisons_that_no_cell_has_are_no_columns(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False)
    cells = [cell for cell in outcome.cells if cell.cell.tuner == "xgb"]
    stream = io.StringIO()
    render_results(derive(replace(outcome, cells=cells)), Console(file=stream, width=120))
    header = next(line for line in stream.getvalue().splitlines() if "median ms" in line)
    assert header.split() == "device tuner opt median ms ± status".split()


def test_beyond_twenty_places_the_best_of_each_alone_and_how_each_tuner_does(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    cells = [
        replace(one, cell=replace(one.cell, model=f"network{number}")) for number in range(21) for one in outcome.cells
    ]
    stream = io.StringIO()
    render_results(derive(replace(outcome, cells=cells)), Console(file=stream, width=100))
    lines = stream.getvalue().splitlines()
    assert sum(line.startswith("network") for line in lines) == len({(c.cell.model, c.cell.device) for c in cells})
    assert f"of {len(cells):,} cells; --format csv has all" in [line.strip() for line in lines]
    start = next(number for number, line in enumerate(lines) if line.startswith("How often each tuner"))
    assert lines[start + 1].split()[:6] == ["tuner", "level", "best", "in", "beyond", "doubt"]
    assert any(line.startswith("xgb") and " O3 " in line for line in lines[start:])
    assert len(lines) < 120


@pytest.mark.parametrize(("repeats", "said"), [(5, "few repeats"), (6, "wide interval")])
def test_a_measurement_that_is_not_stable_says_what_it_lacks(tmp_path: Path, repeats: int, said: str) -> None:
    rows = derive(sweep_outcome(tmp_path)).cells
    row = {**next(row for row in rows if row["status"] == "done"), "is_stable": False, "repeats": repeats}
    (status,) = [column for column in main_columns([row]) if column.title == "status"]
    assert status.text(row).split(", ")[-1] == said
