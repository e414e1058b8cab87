from __future__ import annotations

import base64
import gzip
import hashlib
import html
import inspect
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer

from sweep.analysis.answering.standing import best_cells
from sweep.analysis.formatting import as_ms
from sweep.analysis.rows.results import Results, derive
from sweep.cli import app
from sweep.cli.sweep_commands import ui_command
from sweep.report.best import cards
from sweep.report.device_table import natives
from sweep.report.figures import figures
from sweep.report.figures.drawing import is_the_bundle, library
from sweep.report.next_steps import cell_argument, next_steps
from sweep.report.page import OWN_UI, conditions, failures, render_page
from tests.record.fixtures import measured, sweep_outcome


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return derive(sweep_outcome(tmp_path_factory.mktemp("sweep"), models=("squeezenet", "shufflenet")))


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return render_page(results)


class Outline(HTMLParser):
    """Tags that are open, ids, and every address the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.fetched += [given[key] or "" for key in ("src", "srcset") if key in given]
        self.fetched += [given["href"] or ""] if tag == "link" else []
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def without_library(page: str) -> str:
    """The page as it is but for Plotly itself."""
    return re.sub(r'<script type="application/gzip".*?</script>', "", page, count=1, flags=re.DOTALL)


def test_the_page_is_well_formed_and_fetches_nothing(page: str) -> None:
    outline = Outline()
    outline.feed(without_library(page))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.fetched == ["data:,"]
    assert 500_000 < len(page) < (1_600_000 if is_the_bundle(library().encode()) else 2_500_000)


def test_the_library_is_packed_and_unpacks_to_what_the_policy_lets_run(page: str) -> None:
    (packed,) = re.findall(r'<script type="application/gzip" id="plotly-packed">(.*?)</script>', page)
    script = gzip.decompress(base64.b64decode(packed))
    assert script.decode() == library()
    assert base64.b64encode(hashlib.sha256(script).digest()).decode() in page.partition("</head>")[0]
    assert library()[:200] not in page


def test_the_cards_have_the_interval(results: Results, page: str) -> None:
    best = next(row for row in results.cells if row["cell_name"] == "squeezenet native xgb O3 local-1")
    (told,) = {one.interval for one in cards(best_cells(results.cells)) if one.where == "squeezenet on local-1"}
    assert told == f"95 % interval {as_ms(best['latency_ms_ci_low'])} to {as_ms(best['latency_ms_ci_high'])}"
    assert without_library(page).count('<p class="interval">95 % interval ') == 4


def test_it_says_what_to_do_next(results: Results) -> None:
    text = html.unescape(without_library(render_page(results, "sweeps/my sweep")))
    steps = next_steps(best_cells(results.cells), "sweeps/my sweep")
    assert [step.where for step in steps][:2] == ["squeezenet on local-1", "squeezenet on local-2"]
    by_what = {what: shlex.split(command) for what, command in steps[0].commands}
    row = next(row for row in results.cells if row["cell_name"] == by_what["ship it"][3])
    assert (row["tuner"], row["device"], row["opt_level"]) == ("xgb", "local-1", 3)
    assert by_what["ship it"][:3] == ["sweep", "export", "sweeps/my sweep"]
    assert by_what["compare it"][:4] == ["sweep", "compare", "sweeps/my sweep", row["cell_name"]]
    assert "--measure-more" not in by_what["compare it"]
    assert by_what["measure it again"][2] == f"sweeps/my sweep/{row['library'].rpartition('/')[0]}"
    assert by_what["close what is open"] == ["sweep", "run", "...", "--retry-failed"]
    assert steps[0].library == f"sweeps/my sweep/{row['library']}"
    for step in steps:
        for _, command in step.commands:
            assert command in text


def test_what_nothing_was_compared_with_is_not_to_be_compared(results: Results) -> None:
    (best, *_) = best_cells(results.cells)
    unchecked = [
        row if row is best.row else {**row, "output_check": "not compared", "latency_bound": None} for row in best.group
    ]
    for rows, is_told in ((best.group, True), (unchecked, False)):
        (steps,) = next_steps(best_cells(rows))
        assert ("compare it" in dict(steps.commands)) is is_told


def test_its_commands_are_those_of_the_command_line(results: Results, tmp_path: Path) -> None:
    known = typer.main.get_command(app)
    assert isinstance(known, typer.core.TyperGroup)
    given = [command for step in next_steps(best_cells(results.cells), str(tmp_path)) for _, command in step.commands]
    typed = [shlex.split(command) for command in given if "..." not in command]
    assert {words[1] for words in typed} == {"export", "compare", "exec"}
    for _, name, *words in typed:
        with known.commands[name].make_context(name, words):
            pass


def test_names_in_commands_stay_one_word(results: Results) -> None:
    evil = "a'; rm -rf ~; $(x) `y`"
    rows = [{**row, "cell_name": f"{evil} {row['cell_id']}"} for row in results.cells]
    for step in next_steps(best_cells(rows), "-x"):
        for words in (shlex.split(command) for _, command in step.commands if "..." not in command):
            assert words[2].startswith("./-x")
            assert [word for word in words[3:5] if not word.startswith("--")] or words[1] == "exec"
    for name in ("-rf", "a\x1b]0;b"):
        assert cell_argument({"cell_name": name, "cell_id": "0123"}) == "0123"


def test_native_is_explained_for_each_device(page: str) -> None:
    text = re.sub(r"<[^>]+>", "", without_library(page))
    said = "llvm for the CPU znver3 (AMD EPYC 7B13) with all its features"
    for device in ("local-1", "local-2"):
        assert f"native on {device}: {said}" in text


def test_features_that_a_host_hides_are_named() -> None:
    full = '{"kind": "llvm", "mcpu": "znver3", "mattr": ["-avx2", "-sha"]}'
    row = {"target": "native", "device": "a", "target_json": full, "conditions_json": None}
    told = "llvm for the CPU znver3 with all its features but avx2, sha, which the host does not show"
    assert natives(
        [row, {**row, "target": "llvm"}, {**row, "device": "b", "target_json": None}, {**row, "target_json": "{"}]
    ) == [("a", told)]


def test_question_answer_ranking_and_failures_are_there(page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", without_library(page))
    for told in (
        "What do tuning and opt level buy",
        "Over 2 models on 2 devices",
        "28 cells, 25 done, 2 failed, 1 skipped",
        "still 2.11x slower than ONNX Runtime",
        "no valid trial for task fused_conv2d_add_relu",
        "the budget of 2 h was spent before it started",
        "AMD EPYC 7B13",
    ):
        assert told in text
    assert without_library(page).count("<tr class=") == 28


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    outcome = sweep_outcome(tmp_path, question=evil)
    cells = [replace(cell, cell=replace(cell.cell, model=evil)) for cell in outcome.cells]
    text = without_library(render_page(derive(replace(outcome, cells=cells))))
    assert "<script>alert" not in text
    Outline().feed(text)


def test_rows_link_to_their_runs(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    results = derive(outcome, {outcome.cells[0].cell.id: "run-1"})
    assert 'href="http://127.0.0.1:5000/#/runs/run-1"' in without_library(render_page(results))
    for login in ("me:secret", "secret", "me:a/secret", "me:p@secret", "secret:"):
        served = derive(outcome, {outcome.cells[0].cell.id: "run-1"}, f"https://{login}@server/mlflow/?token=secret")
        linked = without_library(render_page(served))
        assert 'href="https://server/mlflow/#/runs/run-1"' in linked
        assert "secret" not in linked
    assert "#/runs/" not in without_library(render_page(derive(outcome)))


def test_runs_of_a_sweeps_own_store_are_where_its_ui_serves_by_default() -> None:
    port = inspect.signature(ui_command).parameters["port"].default
    assert f"http://127.0.0.1:{port}" == OWN_UI


@pytest.mark.parametrize("uri", ["sqlite:////a/mlflow.db", "postgresql://me:secret@server/mlflow", ""])
def test_a_store_that_is_no_server_has_no_address(tmp_path: Path, uri: str) -> None:
    assert derive(sweep_outcome(tmp_path), tracking_uri=uri).summary.mlflow_url == ""


@pytest.mark.parametrize(("kept", "told"), [(0, "There is no cell"), (1, "No latency yet: 1 cell pending.")])
def test_a_sweep_with_nothing_to_draw_has_a_page_too(tmp_path: Path, kept: int, told: str) -> None:
    outcome = sweep_outcome(tmp_path)
    pending = [replace(cell, status="pending", stages={}, stage_seconds={}) for cell in outcome.cells[:kept]]
    text = render_page(derive(replace(outcome, cells=pending, stage_counts={}, stage_seconds={}, conditions={})))
    assert told in text
    assert len(text) < 100_000


def test_figures_are_strict_json_and_one_of_each_kind_there_is(results: Results) -> None:
    shown = figures(results)
    json.dumps([{"data": one.data, "layout": one.layout} for one in shown], allow_nan=False)
    sections = [one.section for one in shown]
    assert {section: sections.count(section) for section in sections} == {
        "Speed-up": 2,
        "Latency": 4,
        "Opt level x tuner": 4,
        "How much the repeats differ": 2,
        "Tuning": 4,
        "Where the time went": 2,
    }


def test_figures_are_valid_plotly(results: Results) -> None:
    from plotly import graph_objects

    for figure in figures(results):
        graph_objects.Figure(data=list(figure.data), layout=dict(figure.layout))


def test_the_onnx_runtime_line_stands_at_its_median(results: Results) -> None:
    for figure in figures(results):
        if figure.section == "Latency":
            bar, line, _ = figure.data
            assert set(line["x"]) == {bar["x"][list(bar["y"]).index("ONNX Runtime")]}
            assert line["y"] == [bar["y"][0], bar["y"][-1]]


def test_the_heat_map_has_the_best_of_each_place_and_the_failures_by_name(results: Results) -> None:
    heat = next(one for one in figures(results) if one.section == "Opt level x tuner").data[0]
    assert list(heat["x"]) == ["O0", "O3"]
    assert heat["y"][0] == "untuned"
    texts = dict(zip(heat["y"], heat["text"], strict=True))
    assert texts == {"untuned": ["21.6", "16.0"], "random": ["4.54", "3.36"], "xgb": ["failed", "2.16"]}


def test_failures_are_grouped_by_class_most_first(results: Results) -> None:
    groups = failures(results.cells)
    assert [(one["count"], one["status"], one["error_class"]) for one in groups] == [
        (2, "failed", "TuneFailed"),
        (1, "skipped", ""),
    ]
    [(_, count)] = groups[0]["reasons"]
    assert count == 2


def test_conditions_are_flat_and_unknown_ones_left_out() -> None:
    given = {"a": {"b": 1, "c": None}, "memory_bytes": 24_000_000_000, "cores": [0, 1], "empty": ""}
    assert list(conditions(given)) == [("a.b", "1"), ("memory", "24.0 GB"), ("cores", "0, 1")]


@pytest.mark.slow
def test_a_page_of_very_many_cells_stays_readable_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False)
    cells = [
        replace(cell, cell=replace(cell.cell, model=f"model{index % 50}", batch=1 + index // 50))
        for index in range(150)
        for cell in outcome.cells
    ]
    text = without_library(render_page(derive(replace(outcome, cells=cells))))
    assert 1700 <= text.count("<tr class=") <= 2000
    assert len(re.findall(r'<tr class="best"', text)) == 300
    assert set(re.findall(r'<tr class="[^"]*" data-model="([^"]*)"', text)) == {f"model{n}" for n in range(50)}
    assert re.search(r"\d+ slower or failed cells more are in results.csv", text)
    assert "60 more of these are left out" in text
    assert len(text) < 4_000_000


@pytest.mark.parametrize(
    ("conditions", "says_so"), [({"simulated": True}, True), ({"board": {"simulated": True}}, False)]
)
def test_a_simulated_sweep_says_so(tmp_path: Path, conditions: dict[str, object], says_so: bool) -> None:
    outcome = sweep_outcome(tmp_path)
    made_up = [
        replace(cell, stages={**cell.stages, "measure": replace(measured(cell), conditions=conditions)})
        for cell in outcome.cells
        if cell.status == "done"
    ]
    shown = without_library(render_page(derive(replace(outcome, cells=made_up))))
    assert ("its latencies mean nothing" in shown) == says_so
