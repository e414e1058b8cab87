"""Tables without one of their columns: they are refused when they are read, or the reports do without it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sweep.analysis.rows.results import Results, derive
from sweep.analysis.rows.saved import _NEEDED, _completed
from sweep.report.page import render_page
from sweep.report.table import render_results
from tests.record.fixtures import sweep_outcome

TABLES = {"results": "cells", "measurements": "measurements", "curves": "curves", "tasks": "tasks"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return derive(sweep_outcome(tmp_path_factory.mktemp("sweep")))


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_a_report_does_without_each_column_that_is_not_needed(results: Results, table: str, tmp_path: Path) -> None:
    rows = getattr(results, TABLES[table])
    assert set(_NEEDED[table]) <= {*rows[0]}
    for column in {*rows[0]} - {*_NEEDED[table]}:
        without = [{name: value for name, value in row.items() if name != column} for row in rows]
        lacking = replace(results, **{TABLES[table]: _completed(without) if table == "results" else without})
        render_results(lacking, Console(file=io.StringIO(), width=120))
        assert "</html>" in render_page(lacking)
