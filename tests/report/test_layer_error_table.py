"""Tables on layers of quantised networks: which there are, and how they are told apart."""

from __future__ import annotations

from dataclasses import replace

from sweep.report.layer_error_table import layer_error_tables
from sweep.report.page import render_page
from tests.analysis.rows.advised import ADVICE, advised_cell, results_of


def test_tables_of_two_layouts_have_titles_of_their_own() -> None:
    cells = [
        advised_cell("int8", 0.001, layout=layout, advice=replace(ADVICE, dir=f"artifacts/layer_advice/{layout}"))
        for layout in ("NCHW", "NHWC")
    ]
    tables, left_out = layer_error_tables(results_of(cells))
    assert [table.title for table in tables] == [
        "net int8 O3 native none on here",
        "net int8 O3 NHWC native none on here",
    ]
    assert left_out == 0


def test_the_page_says_how_many_tables_it_leaves_out() -> None:
    cells = [advised_cell("int8", 0.001, advice=replace(ADVICE, dir=f"artifacts/layer_advice/{n}")) for n in range(26)]
    cells = [replace(one, cell=replace(one.cell, model=f"net{n}")) for n, one in enumerate(cells)]
    results = results_of(cells)
    tables, left_out = layer_error_tables(results)
    assert (len(tables), left_out) == (24, 2)
    assert "Tables of further cells and networks, in layer_errors.parquet: 2." in render_page(results)
