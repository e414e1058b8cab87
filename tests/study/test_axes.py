"""The table of axes is the only place that lists them, and its rows say what they must."""

from __future__ import annotations

import ast
from dataclasses import fields

import pytest

from sweep.study.axes import (
    FIRST,
    all_axes,
    axes_of_layers,
    axes_under,
    axis_names,
    axis_of,
    by_promise,
    compared_within,
    loops,
    parallel_coordinates,
    stage_options,
    value_in,
)
from sweep.study.spec import Cell
from tests.parsed import trees

LISTED = {"layout", "precision", "batch"}
"""Two of these in one place are a list of axes; one alone is what that place is about."""
ALLOWED = ("study/axes.py", "toolchain/")  # the table, and what does the work with the options of a stage
OF_LAYERS = ("analysis/rows/layer_rows.py", "record/schemas.py", "report/layer_error_table.py")
"""A network's layers are compared in a precision, whatever else a cell is: a table of its own, with these columns."""


def named_in(statement: ast.stmt) -> set[str]:
    """Which of them it names, as a text of its own, an attribute or an argument."""
    named = set()
    for node in ast.walk(statement):
        match node:
            case ast.Constant(value=name) | ast.Attribute(attr=name) | ast.keyword(arg=name) | ast.arg(arg=name):
                named.add(name)
    return LISTED & named


def test_nobody_else_lists_axes() -> None:
    lists = [
        f"{module}:{statement.lineno} names {', '.join(sorted(named_in(statement)))}"
        for module, tree in trees().items()
        if not module.startswith((*ALLOWED, *OF_LAYERS))
        for statement in tree.body
        for part in (statement.body if isinstance(statement, ast.ClassDef) else [statement])
        if len(named_in(part)) > 1
    ]
    assert lists == []


@pytest.mark.parametrize(
    "source",
    [
        'AXES = ("model", "layout", "precision")',
        'def _key(row):\n    return row["layout"], row["batch"]',
        "def _key(cell):\n    return cell.precision, cell.batch",
        'cell = Cell("net", layout="NCHW", precision="float32")',
    ],
)
def test_such_a_list_is_seen(source: str) -> None:
    assert len(named_in(ast.parse(source).body[0])) == 2


def test_the_first_axes_are_the_fields_of_a_cell() -> None:
    assert tuple(field.name for field in fields(Cell)) == (*FIRST, "more")
    assert axis_names() == (*FIRST, "mode", "variable")
    assert len(FIRST) == 9, "a tenth would change the id of every cell"


def test_each_order_has_all_that_are_in_its_place() -> None:
    every = set(axis_names())
    assert set(loops()) == every - {"model", "device", "runtime"}
    assert set(by_promise()) == every - {"model", "device", "runtime", "tuner"}
    assert set(parallel_coordinates()) == every - {"runtime"}
    assert compared_within() == ("model", "batch", "device", "mode", "variable")
    assert axes_of_layers() == ("model", "opt_level", "layout", "precision", "batch")
    assert [axis.name for axis in axes_under()] == ["layout", "precision", "batch", "mode", "variable"]


def test_stages_take_their_axes_at_whatever_value() -> None:
    assert stage_options("import", {}) == {"batch": 1}
    assert stage_options("lower", {"layout": "NHWC"}) == {"opt_level": 3, "layout": "NHWC", "precision": "float32"}
    assert stage_options("measure", {}) == {}


def test_values_older_than_an_axis_are_at_its_default() -> None:
    assert value_in({}, "layout") == "NCHW"
    assert value_in({"layout": None}, "layout") is None
    assert [axis_of(name).default for name in ("model", "opt_level", "batch")] == [None, 3, 1]


def test_each_row_says_what_its_column_means() -> None:
    assert all(axis.meaning for axis in all_axes())
