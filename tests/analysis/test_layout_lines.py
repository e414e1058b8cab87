"""Operators that keep a slow layout are told in columns and wherever a report shows cells."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console

from sweep.analysis.layout_lines import layout_lines
from sweep.planning.results.compiling import LowerResult
from sweep.report.table import render_results
from sweep.report.texts import as_markdown
from tests.analysis.test_left_out_passes import outcome, results

NARROW = "conv2d 3x3, 240 to 240 channels, 3 groups stays in NCHW"
INSIDE = "transposition between reshape and nn.conv2d"
FACTS = {
    "convolutions": {"NCHW": 2, "NHWC": 5},
    "fallbacks": [NARROW, NARROW],
    "transpositions": ["transposition between the input and conv2d", INSIDE],
}


def test_they_are_told_everywhere(tmp_path: Any) -> None:
    plain, slow = outcome(0), outcome(3)
    slow = replace(slow, stages={**slow.stages, "lower": LowerResult(layout=FACTS)})
    found = results(tmp_path, plain, slow)
    names = ("convolution_layouts", "layout_fallbacks", "layout_transpositions", "slow_layout_operators")
    assert [found.cells[0][name] for name in names] == [None] * 4
    told = f"{NARROW} (2 of them); {INSIDE}"
    assert [found.cells[1][name] for name in names] == ["NCHW 2, NHWC 5", 2, 2, told]
    line = f"{found.cells[1]['cell_name']}: {told}"
    assert layout_lines(found.cells) == [line]
    assert line in as_markdown(found).replace("\\", "")
    console = Console(width=300, record=True, file=StringIO())
    render_results(found, console)
    assert line in console.export_text()


def test_a_network_whose_ends_alone_are_turned_has_no_line(tmp_path: Any) -> None:
    ends = ["transposition between the input and conv2d", "transposition between conv2d and an output"]
    one = outcome(3)
    facts = {"convolutions": {"NHWC": 1}, "fallbacks": [], "transpositions": ends}
    found = results(tmp_path, replace(one, stages={**one.stages, "lower": LowerResult(layout=facts)}))
    assert found.cells[0]["layout_transpositions"] == 2
    assert layout_lines(found.cells) == []
    assert layout_lines([{"cell_name": "of an earlier version"}]) == []
