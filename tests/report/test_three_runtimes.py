"""A sweep with a third runtime, in the table, on the page and in its pictures: every row under its own title."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweep.analysis.answering.standing import best_cells
from sweep.analysis.rows.results import Results, derive
from sweep.report.best import cards
from sweep.report.figures import Figure, figures
from sweep.report.page import render_page
from sweep.report.ranking import ranking
from sweep.report.table import render_results
from sweep.report.table_columns import fastest, main_columns, ranked, varies
from sweep.report.texts import as_markdown
from tests.analysis.answering.mixed_grids import hold_final
from tests.record.fixtures import sweep_outcome, with_runtime

QUICK, SLOW = 0.1, 0.5


def three(folder: Path, **options: Any) -> Results:
    baseline = options.pop("baseline", "onnxruntime")
    outcome = sweep_outcome(folder, **{"devices": ("local-1",), "troubles": False} | options)
    outcome = with_runtime(with_runtime(outcome, "openvino", QUICK), "litert", SLOW)
    return derive(replace(outcome, baseline=baseline))


def shown(results: Results) -> str:
    stream = io.StringIO()
    render_results(results, Console(file=stream, width=120))
    return stream.getvalue()


def test_the_table_ranks_all_under_their_titles(tmp_path: Path) -> None:
    lines = shown(three(tmp_path)).splitlines()
    assert lines[1].split() == "device tuner opt median ms ± speed-up time / ORT status".split()
    assert [" ".join(line.split()[1:]) for line in lines[2:5]] == [
        "ONNX Runtime - 1.02 0.7 % - 1x",
        "OpenVINO - 1.60 0.4 % - 1.56x",
        "xgb O3 2.16 0.3 % 7.41x 2.11x best",
    ]
    assert [line.split()[1] for line in lines[5:9]] == ["xgb", "random", "random", "LiteRT"]


def test_a_reader_is_told_which_ratios_are_the_finals(tmp_path: Path) -> None:
    """The table has 2.11x the time of ONNX Runtime, and the answer what the final found."""
    results = three(tmp_path)
    note = "The answer is by the final, in which the best took turns; times and ratios of the table are from before it."
    assert note not in as_markdown(results)
    assert note not in render_page(results)
    rows = [dict(row) for row in results.cells]
    first = next(row for row in rows if (row["tuner"], row["opt_level"]) == ("xgb", 3))
    rival = next(row for row in rows if row["runtime"] == "onnxruntime" and row["model"] == first["model"])
    hold_final([first, rival], [(1.0, 1.0), (1.02, 1.01)], compiles=True)
    results = replace(results, cells=rows)

    in_terminal = " ".join(shown(results).split())
    assert "1.02x faster than ONNX Runtime in turns" in in_terminal
    assert note in in_terminal
    assert note in as_markdown(results)
    page = render_page(results)
    assert note in page
    assert "by the medians: above 1 is slower; how they stood in the final, the answer tells" in page
    assert "time / best in final" in page


def test_a_reader_is_told_how_the_final_was_held_and_why(tmp_path: Path) -> None:
    results = three(tmp_path)
    rows = [dict(row) for row in results.cells]
    first = next(row for row in rows if (row["tuner"], row["opt_level"]) == ("xgb", 3))
    rival = next(row for row in rows if row["runtime"] == "onnxruntime" and row["model"] == first["model"])
    hold_final([first, rival], [(1.0, 1.0), (1.02, 1.01)], compiles=True, held="side by side")
    told = as_markdown(replace(results, cells=rows))
    assert "1.02x faster than ONNX Runtime side by side" in told
    assert "The answer is by the final, in which the best ran side by side; times and ratios" in told

    hold_final([first, rival], [(1.0, 1.0), (1.02, 1.01)], compiles=True)
    first["final_in_turns_because"] = "local-1 has 1 core, and two networks of 1 thread each want 2"
    told = as_markdown(replace(results, cells=rows))
    assert "in which the best took turns" in told
    assert "Not side by side: local-1 has 1 core, and two networks of 1 thread each want 2." in told


def test_the_column_bears_the_name_of_the_baseline(tmp_path: Path) -> None:
    lines = shown(three(tmp_path, baseline="openvino")).splitlines()
    assert "time / OV" in lines[1]
    assert lines[2].split()[-1] == "0.640x"
    assert lines[3].split()[-1] == "1x"
    columns = main_columns(three(tmp_path, baseline="litert").cells)
    about = next(column.about for column in columns if column.title == "time / LiteRT")
    assert about == "its time over that of LiteRT on the same device, by the medians: above 1 is slower"
    assert not [column for column in main_columns(three(tmp_path, baseline=None).cells) if "time" in column.title]


def test_no_compiled_cell_is_dropped_for_another_runtime(tmp_path: Path) -> None:
    rows = ranked(three(tmp_path).cells)
    kept, left_out = fastest(rows, 1)
    assert [row["runtime"] for row in kept] == ["onnxruntime", "openvino", "tvm", "litert"]
    assert (kept[2]["tuner"], kept[2]["opt_level"], left_out) == ("xgb", 3, 5)


def test_only_compiled_cells_say_whether_an_axis_varies(tmp_path: Path) -> None:
    rows = three(tmp_path, opt_levels=(3,)).cells
    assert not varies(rows, "opt_level")
    assert not varies(rows, "target")
    assert varies(three(tmp_path, opt_levels=(0, 3)).cells, "opt_level")
    others = [row for row in rows if row["runtime"] != "tvm"]
    assert varies([*others, {**others[0], "batch": 8}], "batch")


def test_rows_of_other_runtimes_are_marked_and_can_be_chosen(tmp_path: Path) -> None:
    table = ranking(ranked(three(tmp_path).cells), "")
    marks = {line.cells[0][0]: line.css for line in table.lines}
    assert {name: marks[name] for name in ("ONNX Runtime", "OpenVINO", "LiteRT")} == dict.fromkeys(
        ("ONNX Runtime", "OpenVINO", "LiteRT"), "rival"
    )
    assert [line.css for line in table.lines].count("best") == 1
    assert {"OpenVINO", "LiteRT", "ONNX Runtime", "xgb"} <= set(table.filters["tuner"])
    assert table.filters["opt level"] == ["O0", "O3"]


def test_a_card_says_who_is_ahead(tmp_path: Path) -> None:
    [card] = cards(best_cells(three(tmp_path).cells))
    assert card.how == "xgb at O3 on native"
    assert card.facts == [
        ("ship ONNX Runtime here: 1.02 ms", "bad"),
        ("7.41x faster than untuned", "good"),
        ("still 2.11x slower than ONNX Runtime", "bad"),
        ("still 1.35x slower than OpenVINO", "bad"),
    ]


def test_pictures_label_and_colour_each_runtime(tmp_path: Path) -> None:
    pictures = list(figures(three(tmp_path)))
    [bars] = _of(pictures, "Latency")
    colours = dict(zip(bars.data[0]["y"], bars.data[0]["marker"]["color"], strict=True))
    titles = ("ONNX Runtime", "OpenVINO", "LiteRT")
    assert len({colours[title] for title in (*titles, "untuned O3", "xgb O3", "random O3")}) == 6
    assert "the dashed line is ONNX Runtime." in bars.about
    [speedups] = _of(pictures, "Speed-up")
    factors = {bar["name"]: bar["x"][0] for bar in speedups.data}
    assert factors == pytest.approx(
        {"random": 1 / 0.21, "xgb": 1 / 0.135, "ONNX Runtime": 1 / 0.064, "OpenVINO": 1 / QUICK, "LiteRT": 1 / SLOW}
    )
    for curves in _of(pictures, "Tuning"):
        levels = {line["name"]: line for line in curves.data if "ms<extra>" in line["hovertemplate"]}
        for title in titles:
            assert levels[f"{title} · local-1"]["line"]["color"] == colours[title]
        assert "level: ONNX Runtime, OpenVINO, LiteRT, the whole model." in curves.about
    assert not any("ONone" in str(picture.data) for picture in pictures)


def test_the_dashed_line_is_the_baseline(tmp_path: Path) -> None:
    [bars] = _of(list(figures(three(tmp_path, baseline="litert"))), "Latency")
    assert bars.data[1]["x"] == pytest.approx([8.0, 8.0])
    assert "the dashed line is LiteRT." in bars.about


def test_the_page_has_them_all(tmp_path: Path) -> None:
    text = render_page(three(tmp_path))
    assert text.count('<tr class="rival"') == 3
    assert "still 1.35x slower than OpenVINO" in text
    assert "ONone" not in text


def _of(pictures: list[Figure], section: str) -> list[Figure]:
    return [picture for picture in pictures if picture.section == section]


def test_where_the_baseline_has_several_precisions_the_table_says_both_ratios(tmp_path: Path) -> None:
    rows = [dict(row) for row in three(tmp_path).cells]
    titles = [column.title for column in main_columns(rows)]
    assert "same precision" not in titles, "all are of one"
    rival = next(row for row in rows if row["runtime"] == "onnxruntime")
    for row in rows:
        if row["model"] == rival["model"]:  # as derived beside an int8 row of the baseline that takes half its time
            row["ratio_to_baseline"] = 2 * row["ratio_to_baseline_same_precision"]
    rows.append({**rival, "precision": "int8", "ratio_to_baseline": 1.0, "ratio_to_baseline_same_precision": 1.0})
    columns = {column.title: column for column in main_columns(rows)}
    found = [(columns["time / ORT"].text(row), columns["same precision"].text(row)) for row in (rival, rows[-1])]
    assert found[1] == ("1x", "1x")
    fastest_compiled = next(row for row in rows if (row["tuner"], row["opt_level"]) == ("xgb", 3))
    assert (columns["time / ORT"].text(fastest_compiled), columns["same precision"].text(fastest_compiled)) == (
        "4.22x",
        "2.11x",
    )
