"""The ranked table of the page: its columns, its rows, and what they can be filtered by. Knows no medium."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from sweep.analysis.answering.standing import marks
from sweep.analysis.rows.runtime_rows import group_key, is_compiled_row
from sweep.report.table_columns import (
    TableColumn,
    detail_columns,
    fastest,
    main_columns,
    tuner_name,
    varies,
)
from sweep.study.axes import axes_under, axis_of

__all__ = ["RankedLine", "Ranking", "ranking"]

Row = Mapping[str, Any]
_ROWS_SHOWN = 2000
"""About: a table of more makes a phone stand still; the CSV has them all."""
_CHOSEN: Mapping[str, Callable[[Row], str]] = MappingProxyType(
    {
        "model": lambda row: str(row["model"]),
        "device": lambda row: str(row["device"]),
        "target": lambda row: str(row["target"]),
        "tuner": tuner_name,
        "opt level": lambda row: "-" if row["opt_level"] is None else f"O{row['opt_level']}",
    }
)
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class RankedLine:
    """One row of the ranked table: the texts of its columns, and the values that filters use."""

    css: str
    filters: Mapping[str, str]
    cells: Sequence[tuple[str, float | None]]
    """Text, and what to sort by."""
    link: str | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranked table: its columns, its rows, and its filters."""

    columns: Sequence[TableColumn]
    css: Sequence[str]
    """Of each column: `number` sorts by value, `aside` is not printed."""
    main: int
    """How many of the columns answer the study; the others tell more."""
    lines: Sequence[RankedLine]
    left_out: int
    filters: Mapping[str, Sequence[str]]
    """Values to choose from, for what has more than one."""
    has_links: bool


def ranking(rows: Sequence[Row], runs_at: str) -> Ranking:
    """Of rows that are ranked already. `runs_at`: address of an MLflow run but for its id."""
    best = marks(rows)
    model = [TableColumn("model", lambda row: str(row["model"]))] if varies(rows, "model") else []
    # One device alone is named elsewhere, and on a phone the latency takes its place
    main = [*model, *(one for one in main_columns(rows) if one.title != "device" or varies(rows, "device"))]
    columns = [*main, *detail_columns(rows)]
    shown, left_out = list(rows), 0
    if len(rows) > _ROWS_SHOWN:  # of every group some, rather than all of the first ones
        compiled, groups = sum(map(is_compiled_row, rows)), len({group_key(row) for row in rows})
        shown, left_out = fastest(rows, max(1, (_ROWS_SHOWN - len(rows) + compiled) // groups))
    filters = _filters(shown)
    lines = [_line(row, columns, filters, best, runs_at) for row in shown]
    return Ranking(
        columns=columns,
        css=[_css(column) for column in columns],
        main=len(main),
        lines=lines,
        left_out=left_out,
        filters=filters,
        has_links=any(line.link for line in lines),
    )


def _filtered() -> dict[str, Callable[[Row], str]]:
    """What the table can be filtered by, and how a row's value reads."""
    listed = {axis.name: partial(_text_of, axis.name) for axis in axes_under()}
    return {**_CHOSEN, **listed, "status": partial(_text_of, "status")}


def _text_of(key: str, row: Row) -> str:
    return str(row[key] if key in row else axis_of(key).default)


def _css(column: TableColumn) -> str:
    return " ".join(["number"] * bool(column.value) + ["aside"] * (not column.is_on_paper))


def _line(
    row: Row, columns: Sequence[TableColumn], filters: Mapping[str, object], best: Mapping[str, str], runs_at: str
) -> RankedLine:
    css = "best" if row["cell_id"] in best else str(row["status"]) if is_compiled_row(row) else "rival"
    run_id, values = row["mlflow_run_id"], _filtered()
    return RankedLine(
        css=css,
        filters={name: values[name](row) for name in filters},
        cells=[(column.text(row), column.value(row) if column.value else None) for column in columns],
        link=f"{runs_at}{run_id}" if run_id else None,
    )


def _filters(rows: Sequence[Row]) -> dict[str, list[str]]:
    found = {name: dict.fromkeys(value(row) for row in rows) for name, value in _filtered().items()}
    chosen = {name: [value for value in values if value != _NOTHING] for name, values in found.items()}
    chosen["opt level"].sort()
    return {name: values for name, values in chosen.items() if len(values) > 1}
