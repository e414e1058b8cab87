"""What others named is text in every form of a report: no command to a terminal, no markup, no formula, no link."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.rows.results import Results, derive
from sweep.plain_text import visible
from sweep.record.mlflow.run_values import cell_tags
from sweep.record.mlflow.ui_view import experiment_tags
from sweep.report.figures.drawing import pictures_json
from sweep.report.figures.predictions import prediction_figures
from sweep.report.live.progress_view import open_progress
from sweep.report.page import OWN_UI, render_page
from sweep.report.table import render_results
from sweep.report.terminal import TextConsole
from sweep.report.texts import as_csv, as_json, as_markdown
from tests.report.hostile import ALL, RICH, TERMINAL, hostile

OWN_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What rich itself writes: colours, and the cursor."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    outcome = hostile(tmp_path_factory.mktemp("sweep"))
    return derive(outcome, {cell.cell.id: "run-1" for cell in outcome.cells})


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_terminal_is_told_nothing(results: Results, is_terminal: bool) -> None:
    stream = io.StringIO()
    render_results(results, TextConsole(file=stream, width=4000, force_terminal=is_terminal))
    text = stream.getvalue()
    bare = OWN_CONTROL.sub("", text)
    assert bare == visible(bare)
    assert "\\x1b]0;owned" in bare  # rich leaves out the bell
    assert RICH in bare


@pytest.mark.parametrize("is_terminal", [False, True])
def test_nor_while_a_sweep_runs(is_terminal: bool) -> None:
    stream = io.StringIO()
    with open_progress(TextConsole(file=stream, width=4000, force_terminal=is_terminal), f"study {ALL}") as view:
        view.plan_ready(1, {f"tune{ALL}": 1})
        view.attempt_started(f"stage{ALL}", "tune", f"pool{ALL}")
        view.attempt_failed(f"stage{ALL}", "tune", f"class{ALL}", ALL, will_retry=True)
        view.cell_finished(f"cell{ALL}", "failed", None, ALL)
        view.tell(ALL)
    bare = OWN_CONTROL.sub("", stream.getvalue().replace("\r", ""))
    assert bare == visible(bare)
    assert RICH in bare


def test_no_cell_of_the_csv_is_a_formula(results: Results) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(results))))
    assert len(rows) == len(results.cells) + 1
    texts = [text for row in rows for text in row if not re.fullmatch(r"[-+]?[\d.e+-]+|-?inf|nan", text)]
    assert not [text for text in texts if text[:1] in tuple("=+-@\t\r")]
    assert all(text == visible(text) for text in texts)
    assert any(text.startswith("'==") for text in texts)


def test_markdown_has_the_markup_of_the_report_alone(results: Results) -> None:
    text = as_markdown(results)
    assert text == visible(text)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", text)
    assert set(re.findall(r"<[^>]*>", bare)) == {"<details>", "<summary>", "</summary>", "</details>"}
    assert "](" not in bare
    cells = [line.count("|") for line in bare.splitlines() if line.startswith("| ")]
    assert len(set(cells)) <= 2, "of cells, and of pools"


def test_json_is_what_there_is(results: Results) -> None:
    text = as_json(results)
    assert text == visible(text)
    assert json.loads(text)["question"] == ALL


def test_the_page_has_no_markup_of_theirs(results: Results) -> None:
    page = render_page(results)
    own = page.partition("<script>")[0]
    for attack in ("<script>window", "<img src=x", "<svg/onload", TERMINAL, "\x1b", "\u202e", '<a href="javascript'):
        assert attack not in page, attack
    assert "\\x1b]0;owned" in own
    figures = json.loads(page.partition('id="figure-data">')[2].partition("</script>")[0])
    texts = list(strings(figures))
    assert any("&lt;a href=" in text for text in texts)
    assert not [text for text in texts if "<" in text]


def test_nor_has_the_picture_of_what_was_predicted(results: Results) -> None:
    rows = [dict(row) for row in results.cells]
    for row in rows:
        row |= {"predicted_low_ms": 2.0, "predicted_latency_ms": 3.0, "predicted_high_ms": 4.0}
    texts = list(strings(json.loads(pictures_json(list(prediction_figures(rows))))))
    assert any("&lt;a href=" in text for text in texts)
    assert not [text for text in texts if "<" in text or "&amp;lt;a" in text]


def strings(value: object, key: str = "") -> list[str]:
    if isinstance(value, str):
        return [] if key == "hovertemplate" else [value]
    if isinstance(value, dict):
        return [text for name, part in value.items() for text in strings(part, name)]
    return [text for part in value for text in strings(part, key)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//", "data:text/html,x", "http://x' onclick='y", "//evil", "ftp://x"]
)
def test_a_run_is_linked_on_the_web_alone(results: Results, url: str) -> None:
    page = render_page(replace(results, summary=replace(results.summary, mlflow_url=url)))
    links = set(re.findall(r'<a href="([^"]*)"[^>]*>run</a>', page))
    assert links == {f"{OWN_UI}/#/runs/run-1"}
    assert url not in page


def test_mlflow_is_sent_text(tmp_path: Path) -> None:
    for cell in hostile(tmp_path).cells:
        tags = cell_tags(cell, "sweeps/x")
        assert all(tag == visible(tag) for tag in tags.values())
        assert "[x](" not in tags.get("mlflow.note.content", "")
    note = experiment_tags(ALL)["mlflow.note.content"]
    assert not re.search(r"(?<!\\)[<\[`*_]", note)
