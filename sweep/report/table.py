"""The results in a terminal: a table a model, the answer, the failures, where the time went. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweep.analysis.answer import answer, best_cells
from sweep.analysis.results import NO_TUNER, REFERENCE, Results
from sweep.analysis.wording import as_duration, as_ms, as_percent, as_times, plural

__all__ = ["failure_lines", "render_results", "time_line"]

Row = Mapping[str, Any]
_STATUS_STYLE = {"failed": "red", "skipped": "yellow", "pending": "dim", "tainted": "magenta"}
_FAILURES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[Row], str]
    axis: str | None = None
    """Left out where all rows of the table agree on it."""
    justify: Literal["left", "right"] = "left"
    keep: int = 0
    """On a narrow terminal columns go, the least of these first."""


def render_results(results: Results, console: Console) -> None:
    """Print the whole: tables, answer, failures, times."""
    console.print(_rendered(results, console))


def _rendered(results: Results, console: Console) -> Group:
    best = {id(one.row) for one in best_cells(results.cells)}
    parts: list[RenderableType] = []
    for model in dict.fromkeys(row["model"] for row in results.cells):
        rows = [row for row in results.cells if row["model"] == model]
        parts += [_model_table(model, rows, best, console), ""]
    if results.summary.question:
        parts.append(Text(results.summary.question, style="italic"))
    parts.append(Text(answer(results), style="bold"))
    failures = failure_lines(results.cells)
    if failures:
        parts += ["", Text("Failed or skipped", style="bold red")]
        parts += [Padding(Text(line), (0, 0, 0, 2)) for line in failures]
    times = time_line(results)
    if times:
        parts += ["", Text(times, style="dim")]
    return Group(*parts)


def _model_table(model: str, rows: Sequence[Row], best: set[int], console: Console) -> Table:
    ordered = sorted(
        rows, key=lambda row: (row["device"], row["latency_ms_median"] is None, row["latency_ms_median"] or 0)
    )
    columns = [column for column in _columns(best) if column.axis is None or _varies(rows, column.axis)]
    fixed = [
        f"{axis} {rows[0][axis]}" for axis in ("target", "layout", "precision", "batch") if not _varies(rows, axis)
    ]
    title = Text(model, style="bold")
    title.append(f"   {', '.join(fixed)}" if fixed else "", style="dim")
    wide = console.options.update(max_width=1000)
    while True:
        table = _table(title, columns, ordered, best)
        if len(columns) <= 3 or Measurement.get(console, wide, table).maximum <= console.width:
            return table
        columns.remove(min(columns, key=lambda column: column.keep))


def _columns(best: set[int]) -> list[_Column]:
    def status(row: Row) -> str:
        if row["status"] == "failed":
            return f"failed in {row['failed_stage']}"
        if row["status"] != "done":
            return str(row["status"])
        notes = ["best"] if id(row) in best else []
        return ", ".join(notes + ([] if row["is_stable"] else ["unstable"]))

    def tuner(row: Row) -> str:
        if row["runtime"] != "tvm":
            return "ONNX Runtime" if row["runtime"] == REFERENCE else str(row["runtime"])
        return "untuned" if row["tuner"] == NO_TUNER else str(row["tuner"])

    return [
        _Column("device", lambda row: str(row["device"]), keep=7),
        _Column("target", lambda row: str(row["target"]), axis="target", keep=5),
        _Column("tuner", tuner, keep=9),
        _Column("opt", lambda row: "-" if row["opt_level"] is None else f"O{row['opt_level']}", keep=9),
        _Column("layout", lambda row: str(row["layout"]), axis="layout", keep=3),
        _Column("precision", lambda row: str(row["precision"]), axis="precision", keep=3),
        _Column("batch", lambda row: str(row["batch"]), axis="batch", justify="right", keep=6),
        _Column("median ms", lambda row: as_ms(row["latency_ms_median"]), justify="right", keep=10),
        _Column("±", _spread, justify="right", keep=4),
        _Column("vs untuned", lambda row: as_times(row["speedup_vs_untuned"]), justify="right", keep=6),
        _Column("vs ORT", _against_reference, justify="right", keep=8),
        _Column("", status, keep=2),
    ]


def _table(title: Text, columns: Sequence[_Column], rows: Sequence[Row], best: set[int]) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=column.title != "")
    device = rows[0]["device"] if rows else None
    for row in rows:
        if row["device"] != device:
            table.add_row()
            device = row["device"]
        style = "bold green" if id(row) in best else "cyan" if row["runtime"] == REFERENCE else ""
        style = _STATUS_STYLE.get(row["status"], style)
        table.add_row(*(Text(column.cell(row)) for column in columns), style=style)
    return table


def _spread(row: Row) -> str:
    """Half the 95 % interval of the median, as a share of it."""
    low, high = row["latency_ms_ci_low"], row["latency_ms_ci_high"]
    return "-" if low is None or high is None else as_percent((high - low) / 2 / row["latency_ms_median"])


def _against_reference(row: Row) -> str:
    return "1x" if row["runtime"] == REFERENCE else as_times(row["ratio_to_onnxruntime"])


def _varies(rows: Sequence[Row], axis: str) -> bool:
    return len({row[axis] for row in rows if row["runtime"] != REFERENCE}) > 1


def failure_lines(rows: Sequence[Row], shown: int = _FAILURES_SHOWN) -> list[str]:
    """A line a failed or skipped cell with its reason; cells of one reason share a line."""
    reasons: Counter[str] = Counter()
    names: dict[str, str] = {}
    for row in rows:
        if row["status"] in ("failed", "skipped", "tainted"):
            cause = f" in {row['failed_stage']} ({row['error_class']})" if row["error_class"] else ""
            reason = " ".join(f"{row['status']}{cause}: {row['error'] or 'no reason recorded'}".split())
            reasons[reason] += 1
            names.setdefault(reason, row["cell_name"])
    lines = [
        f"{names[reason]}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
        for reason, count in reasons.most_common(shown)
    ]
    more = len(reasons) - len(lines)
    return lines + ([f"... and {plural(more, 'other reason')}; see the report"] if more else [])


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
    return f"{cells} in {as_duration(summary.ended_t - summary.started_t)}; stages took {told}"
