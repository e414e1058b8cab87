"""The results in a terminal: a table a model, the answer, the failures, where the time went. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.pareto import front_lines
from sweep.analysis.answering.precision_questions import question_lines
from sweep.analysis.answering.standing import marks
from sweep.analysis.formatting import as_duration, as_percent, as_tags, plural
from sweep.analysis.layout_lines import layout_lines
from sweep.analysis.left_out_passes import left_out_lines
from sweep.analysis.reason_lines import LINES_SHOWN, reason_lines
from sweep.analysis.rows.advice_rows import advice_lines
from sweep.analysis.rows.results import Results
from sweep.analysis.rows.runtime_rows import is_compiled_row
from sweep.analysis.rows.unchecked import unchecked_lines
from sweep.report.choice_table import CHOICES, are_many, best_of_each, choice_lines
from sweep.report.table_columns import TableColumn, fastest, final_note, main_columns, ranked, rows_each, varies
from sweep.report.task_table import untuned_notes
from sweep.report.tuning_section import sentences
from sweep.study.axes import FIRST, axes_under, value_in

__all__ = ["failure_lines", "render_results", "time_line"]

Row = Mapping[str, Any]
_STATUS_STYLE = {"failed": "red", "skipped": "yellow", "pending": "dim", "tainted": "magenta"}
_FEWEST_COLUMNS = 3


def render_results(results: Results, console: Console) -> None:
    """Print the whole: tables, answer, failures, times."""
    console.print(_rendered(results, console))


def _rendered(results: Results, console: Console) -> Group:
    parts: list[RenderableType] = []
    if are_many(results.cells):
        parts += [_table_of_best(results.cells, console), "", _table_of_choices(results.cells), ""]
    else:
        each = rows_each(results.cells)
        for model in dict.fromkeys(row["model"] for row in results.cells):
            parts += [_model_table(model, [row for row in results.cells if row["model"] == model], console, each), ""]
    if results.summary.question:
        parts.append(Text(results.summary.question, style="italic"))
    parts.append(Text(answer(results), style="bold"))
    parts += [Text(line, style="dim") for line in final_note(results.cells)]
    parts += [Padding(Text(line), (0, 0, 0, 2)) for line in question_lines(results.cells, most=12)]
    if results.summary.tags:
        parts.append(Text(f"Tags: {as_tags(results.summary.tags)}", style="dim"))
    for title, style, lines in (
        ("No other cell is better in both", "bold", front_lines(results.cells)),
        ("Layers to keep in float32", "bold", advice_lines(results.summary.advice)),
        ("Failed, skipped or tainted", "bold red", failure_lines(results.cells)),
        ("Outputs compared with nothing, so never best", "bold yellow", unchecked_lines(results.cells)),
        ("Passes of the opt level that refuse the network, left out", "bold yellow", left_out_lines(results.cells)),
        ("Operators that keep a slow layout", "bold yellow", layout_lines(results.cells)),
        ("Tasks without a valid trial", "bold yellow", untuned_notes(results)),
    ):
        if lines:
            parts += ["", Text(title, style=style)]
            parts += [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    told = [line for line in (time_line(results), *sentences(results.summary.tuning)) if line]
    if told:
        parts += ["", *(Text(line, style="dim") for line in told)]
    return Group(*parts)


def _model_table(model: str, rows: Sequence[Row], console: Console, each: int) -> Table:
    columns = main_columns(rows)
    one = next(filter(is_compiled_row, rows), rows[0])
    axes = [axis.name for axis in axes_under() if axis.name in FIRST or value_in(one, axis.name) != axis.default]
    known = ((axis, value_in(one, axis)) for axis in ("target", *axes) if not varies(rows, axis))
    fixed = [f"{axis} {value}" for axis, value in known if value is not None]
    title = Text(model, style="bold")
    title.append(f"   {', '.join(fixed)}" if fixed else "", style="dim")
    shown, left_out = fastest(ranked(rows), each)
    caption = f"... and {plural(left_out, 'slower or failed cell')}; --format csv has all" if left_out else ""
    return _narrowed(title, columns, shown, console, caption)


def _table_of_best(rows: Sequence[Row], console: Console) -> Table:
    columns, shown = best_of_each(rows)
    caption = f"of {plural(len(rows), 'cell')}; --format csv has all"
    return _narrowed(Text("Best of each place", style="bold"), columns, shown, console, caption)


def _table_of_choices(rows: Sequence[Row]) -> Table:
    titles, lines = choice_lines(rows)
    title = Text(CHOICES, style="bold")
    title.append("   means are geometric", style="dim")
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False, header_style="dim")
    for number, name in enumerate(titles):
        table.add_column(name, justify="right" if number > 1 else "left")
    for line in lines:
        table.add_row(*line)
    return table


def _narrowed(
    title: Text, columns: list[TableColumn], rows: Sequence[Row], console: Console, caption: str = ""
) -> Table:
    """Without the columns for which there is no room."""
    unbounded = console.options.update(max_width=1000)
    while True:
        table = _table(title, columns, rows)
        if caption:
            table.caption = Text(caption)
        if len(columns) <= _FEWEST_COLUMNS or Measurement.get(console, unbounded, table).maximum <= console.width:
            return table
        columns.remove(min(columns, key=lambda column: column.keep))


def _table(title: Text, columns: Sequence[TableColumn], rows: Sequence[Row]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="",
        caption_justify="left",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for column in columns:
        table.add_column(column.title, justify="right" if column.value else "left", no_wrap=True)
    best, device = marks(rows), rows[0]["device"] if rows else None
    for row in rows:
        if row["device"] != device and not any(column.title == "model" for column in columns):
            table.add_row()
            device = row["device"]
        style = "bold green" if row["cell_id"] in best else "" if is_compiled_row(row) else "cyan"
        style = _STATUS_STYLE.get(row["status"], style)
        table.add_row(*(Text(column.text(row)) for column in columns), style=style)
    return table


def failure_lines(rows: Sequence[Row], shown: int = LINES_SHOWN) -> list[str]:
    """A line a failed, skipped or tainted cell with its reason; cells of one reason share a line."""
    failed = (row for row in rows if row["status"] in ("failed", "skipped", "tainted"))
    return reason_lines(((row["cell_name"], _reason(row)) for row in failed), shown)


def _reason(row: Row) -> str:
    where = f" in {row['failed_stage']}" if row["failed_stage"] else ""
    cause = f"{where} ({row['error_class']})" if row["error_class"] else ""
    return " ".join(f"{row['status']}{cause}: {row['error'] or 'no reason recorded'}".split())


def time_line(results: Results) -> str:
    """Where the time went, largest first; empty where nothing ran."""
    summary = results.summary
    total = sum(summary.stage_seconds.values())
    if not total:
        return ""
    shares = sorted(summary.stage_seconds.items(), key=lambda item: -item[1])
    told = ", ".join(f"{kind} {as_duration(seconds)} ({as_percent(seconds / total)})" for kind, seconds in shares)
    counts = Counter(row["status"] for row in results.cells)
    cells = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{cells} in {as_duration(summary.took_s)}; stages took {told}"
