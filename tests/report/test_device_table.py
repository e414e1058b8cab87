from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.answering.standing import best_cells
from sweep.analysis.rows.results import derive
from sweep.report.best import best_table, cards
from sweep.report.device_table import device_table
from sweep.report.ranking import ranking
from sweep.report.table_columns import ranked
from tests.record.fixtures import sweep_outcome, tainted

CONDITIONS = {
    "host": "bench",
    "cpu_model": "AMD EPYC",
    "cores": [1, 2],
    "threads": 2,
    "load1_before": 0.5,
    "stolen_s_before": 1.0,
    "stolen_s_after": 1.5,
    "at_before": 100.0,
    "at_after": 110.0,
}


def row(device: str, status: str = "done", **changes: Any) -> dict[str, Any]:
    return {"device": device, "status": status, "conditions_json": json.dumps(CONDITIONS | changes)}


def told(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    table = device_table(rows)
    return [dict(zip([title for title, _ in table.titles], line, strict=True)) for line in table.rows]


def test_a_device_says_what_measured_and_how_quiet_it_was() -> None:
    rows = [row("a"), row("a", load1_before=3.0), row("a", "tainted", load1_before=1.0), row("b", threads=1)]
    first, second = told(rows)
    assert first == {
        "device": "a",
        "host": "bench",
        "CPU": "AMD EPYC",
        "cores": "1, 2",
        "threads": "2",
        "load (median, most)": "1.0, 3.0",
        "stolen (most)": "2 %",
        "cells": "3",
        "tainted": "1",
    }
    assert (second["threads"], second["tainted"]) == ("1", "-")


@pytest.mark.parametrize("broken", [{}, "much", None, True, []])
def test_conditions_that_are_no_numbers_are_passed_over(broken: Any) -> None:
    numbers = [key for key in CONDITIONS if key.endswith(("_before", "_after"))]
    for key in (*numbers, "cores"):
        (line,) = told([row("a", **{key: broken}), row("a")])
        assert (line["load (median, most)"], line["stolen (most)"]) == ("0.50, 0.50", "2 %")


def test_what_no_device_tells_is_no_column() -> None:
    assert told([{"device": "a", "status": "done", "conditions_json": '{"simulated": true}'}]) == [
        {"device": "a", "cells": "1"}
    ]
    assert told([{"device": "a", "status": "failed", "conditions_json": None}]) == []


def test_few_best_cells_are_cards_and_many_a_table_with_all_of_them(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False)
    few = best_cells(derive(outcome).cells)
    assert [card.where for card in cards(few)] == ["squeezenet on local-1", "squeezenet on local-2"]
    assert best_table(few) is None
    many = [replace(c, cell=replace(c.cell, model=f"net{n}")) for n in range(7) for c in outcome.cells]
    many = [cell for cell in many if (cell.cell.model, cell.cell.device) != ("net6", "local-1")]
    best = best_cells(derive(replace(outcome, cells=many)).cells)
    table = best_table(best)
    assert cards(best) == []
    assert table is not None
    assert table.devices == ["local-1", "local-2"]
    assert len(table.rows) == 7
    assert [card is None for card in table.rows[6][2]] == [True, False]


def test_devices_stand_in_the_order_of_the_study(tmp_path: Path) -> None:
    rows = ranked(derive(sweep_outcome(tmp_path, devices=("local-2", "local-1"))).cells)
    assert list(dict.fromkeys(row["device"] for row in rows)) == ["local-2", "local-1"]


def test_filters_are_what_differs_and_one_device_needs_no_column(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, devices=("local-1",))
    cells = [tainted(cell) if cell.cell.tuner == "random" else cell for cell in outcome.cells]
    found = ranking(ranked(derive(replace(outcome, cells=cells)).cells), "http://ui/#/runs/")
    assert {name: set(values) for name, values in found.filters.items()} == {
        "tuner": {"ONNX Runtime", "untuned", "random", "xgb"},
        "opt level": {"O0", "O3"},
        "status": {"done", "tainted", "failed", "skipped"},
    }
    assert "device" not in [column.title for column in found.columns]
    assert not found.has_links
