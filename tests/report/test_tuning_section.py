from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweep.analysis.answering.answer import answer
from sweep.analysis.rows.results import Results, derive
from sweep.report.page import render_page
from sweep.report.table import render_results
from sweep.report.task_table import task_tables, untuned_notes
from sweep.report.texts import as_markdown
from sweep.report.tuning_section import failure_table, pool_table, sentences
from tests.record.fixtures import sweep_outcome, with_untuned_task

SPENT = "Tuning spent 400 trials where a loop over models would have spent 1,200"
NOTE = "squeezenet native xgb O3 local-1: 1 of 2 tasks untuned: fused_conv2d1 (BuildFailed 32 in 32 trials)"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """The fastest cell is one with a task left untuned."""
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    cells = [
        with_untuned_task(cell) if (cell.cell.tuner, cell.cell.opt_level) == ("xgb", 3) else cell
        for cell in outcome.cells
    ]
    return derive(replace(outcome, cells=cells))


def pool(**changes: Any) -> dict[str, Any]:
    given = {
        "target": "native",
        "tuner": "xgb",
        "device": "local-1",
        "members": 2,
        "tasks": 40,
        "untuned_tasks": 0,
        "trials": 400,
        "trials_in_all": 400,
        "valid": 380,
        "failed": {"BuildFailed": 16, "MeasureTimeout": 4},
        "naive_trials": 1200,
        "warm_started": 0,
        "search_s": 90.0,
        "build_s": 300.0,
        "measure_s": 60.0,
        "validate_s": 10.0,
        "wall_s": 400.0,
        "seconds_per_trial": 1.0,
        "busy": {"search": 0.76, "build": 0.58, "device": 0.45},
        "gap_median": 0.031,
        "near_best": [300],
        "few_trials_share": 0.53,
        "known_tasks": 0,
        "near_here": 0,
        "near_elsewhere": 0,
    }
    return given | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            f"{SPENT}: at this sweep's own seconds a trial, 13 min 20 s saved.",
        ),
        ({"seconds_per_trial": None}, f"{SPENT}."),
        ({"naive_trials": 300}, "Tuning spent 400 trials where a loop over models would have spent 300."),
        ({"naive_trials": 400, "trials": 400, "trials_in_all": 400}, None),
        ({"naive_trials": None}, None),
    ],
)
def test_what_pooling_spared(changes: dict[str, Any], expected: str | None) -> None:
    assert sentences([pool(**changes)]) == ([expected] if expected else [])


def test_a_warm_start_is_compared_with_the_sweeps_it_comes_from() -> None:
    known = {"warm_started": 12, "known_tasks": 4, "near_here": 9, "near_elsewhere": 1300}
    assert sentences([pool(**known), pool()])[1] == (
        "12 trials of 800 came from a warm start: 4 tasks that it knew came within 2% of their best after 9 trials "
        "in all, and after 1,300 in the sweeps it comes from."
    )
    assert sentences([pool(warm_started=12)])[1] == "12 trials of 400 came from a warm start."


def test_a_row_a_pool() -> None:
    table = pool_table([pool()])
    row = dict(zip([title for title, _ in table.titles], table.rows[0], strict=True))
    assert row["pool"] == "xgb on local-1 for native"
    assert (row["failed"], row["winner's curse"]) == ("5 %", "3.1 %")
    assert row["busy: search / build / device"] == "76 / 58 / 45 %"
    assert (row["search"], row["measure"]) == ("1 min 30 s", "1 min 00 s + 10 s")
    assert [row[-1] for row in pool_table([pool(), pool(warm_started=5)]).rows] == ["0", "5"]
    bare = pool_table([pool(failed={}, naive_trials=None, busy={}, gap_median=None, near_best=[], search_s=0.0)])
    assert [text for text in bare.rows[0] if text in ("-", "0")] == ["-", "-", "-", "-", "-"]


def test_failures_by_class_a_tuner_and_none_where_none_failed() -> None:
    table = failure_table([pool(), pool(device="local-2"), pool(tuner="ga", failed={"BuildFailed": 400})])
    assert table is not None
    assert [title for title, _ in table.titles] == ["tuner", "trials", "failed", "BuildFailed", "MeasureTimeout"]
    assert table.rows == [["xgb", "800", "5 %", "32", "8"], ["ga", "400", "100 %", "400", "0"]]
    assert failure_table([pool(failed={})]) is None


def test_tasks_stand_heaviest_first_and_those_without_a_valid_trial_before_them(results: Results) -> None:
    tables, left_out = task_tables(results)
    assert (len(tables), left_out) == (4, 0)
    worst = next(one for one in tables if one.cell_name == "squeezenet native xgb O3 local-1")
    assert worst.about.endswith("1 untuned")
    assert [row[0] for row in worst.table.rows] == ["fused_conv2d1", "fused_conv2d0"]
    assert worst.table.rows[0][3] == "untuned"


def test_cells_that_share_their_tuning_share_a_table(results: Results) -> None:
    twins = [{**row, "cell_id": f"twin of {row['cell_id']}"} for row in results.tasks]
    assert len(task_tables(replace(results, tasks=[*results.tasks, *twins]))[0]) == 4


def test_an_untuned_task_is_told_wherever_results_are(results: Results) -> None:
    assert untuned_notes(results) == [NOTE]
    stream = io.StringIO()
    render_results(results, Console(file=stream, width=140))
    page = re.sub(r"<script.*?</script>", "", render_page(results), flags=re.DOTALL)
    for text in (stream.getvalue(), page, as_markdown(results).replace("\\_", "_")):
        assert "best, 1 of 2 tasks untuned" in text
        assert NOTE in text
    assert "1 of 2 tasks untuned" in answer(results)


def test_many_untuned_cells_are_cut_and_an_untuned_cell_is_no_news(results: Results) -> None:
    cells = [{**row, "untuned_tasks": 2, "tuned_tasks": 0} for row in results.cells]
    assert len(untuned_notes(replace(results, cells=cells))) == 4
    assert untuned_notes(replace(results, cells=cells), shown=1)[1] == "... and 3 other cells"


def test_the_page_has_a_tuning_section_also_where_no_curve_can_be_drawn(results: Results) -> None:
    page = render_page(replace(results, curves=[]))
    assert 'id="tuning"' in page
    assert "Failed trials by class" in page
    assert page.partition('id="tuning"')[2].count('<details class="plain"') == 4
