"""The page and the table of cells over many sweeps. Knows no files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.analysis.comparing.cell_history import CellHistory, Moment
from sweep.analysis.formatting import as_ms, as_times, plural
from sweep.plain_text import visible
from sweep.report.content_policy import content_policy
from sweep.report.figures.drawing import drawing_scripts, packed_library, page_script, pictures_json
from sweep.report.figures.figure import COLOURS, Figure, plain_layout

__all__ = ["history_figure", "render_history", "show_history"]

_HEIGHT = 260
_PICTURES = 200
"""A page of more would be looked at by nobody."""


def show_history(found: Sequence[CellHistory], console: Console) -> None:
    """Print one cell sweep by sweep, or a line for each of several."""
    if len(found) != 1:
        for one in found:
            console.print(Text(one.line), soft_wrap=True)
        return
    (one,) = found
    table = Table(title=one.name, title_justify="left", box=None, pad_edge=False)
    for title in ("begun", "sweep", "median ms", "interval", "status", "level"):
        table.add_column(title, justify="right" if title == "median ms" else "left")
    starts = {id(moment): change for moment, change in one.changes}
    for moment in one.moments:
        change = starts.get(id(moment))
        level = "" if change is None else f"{as_times(change.ratio)} (p = {change.p:.4f})"
        table.add_row(
            _date(moment.t), moment.sweep, moment.reading.as_ms, _interval(moment), str(moment.row["status"]), level
        )
    console.print(table)
    console.print(Text(_sentence(one)))


def render_history(found: Sequence[CellHistory]) -> str:
    """A page with a picture of each cell."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    shown = [history_figure(one) for one in found[:_PICTURES]]
    return environment.get_template("history.html.jinja").render(
        figures=shown,
        counted=plural(len(found), "cell"),
        left_out=plural(len(found) - len(shown), "further cell") if len(found) > len(shown) else "",
        pictures=pictures_json(shown),
        plotly=packed_library(),
        figures_script=page_script("figures.js"),
        content_policy=content_policy(drawing_scripts()),
    )


def history_figure(one: CellHistory) -> Figure:
    """Latency against time: dots with intervals, hollow where only an upper end is known; a line at each change."""
    exact = [moment for moment in one.moments if moment.reading.is_exact]
    upper = [moment for moment in one.moments if moment.reading.bound == "upper"]
    dots = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "undisturbed",
        "x": [_date(moment.t) for moment in exact],
        "y": [moment.reading.median_ms for moment in exact],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [moment.reading.high_ms - moment.reading.median_ms for moment in exact],
            "arrayminus": [moment.reading.median_ms - moment.reading.low_ms for moment in exact],
            "thickness": 1,
        },
        "customdata": [[moment.sweep] for moment in exact],
        "hovertemplate": "%{customdata[0]}<br>%{y:.4g} ms<extra></extra>",
        "marker": {"color": COLOURS[0]},
    }
    bounds = {
        "type": "scatter",
        "mode": "markers",
        "name": "disturbed: at most",
        "x": [_date(moment.t) for moment in upper],
        "y": [moment.reading.high_ms for moment in upper],
        "customdata": [[moment.sweep] for moment in upper],
        "hovertemplate": "%{customdata[0]}<br>at most %{y:.4g} ms<extra></extra>",
        "marker": {"color": COLOURS[1], "symbol": "triangle-down-open"},
    }
    layout = plain_layout(0, x="")
    layout["yaxis"] |= {"title": {"text": "median latency (ms)"}, "rangemode": "tozero"}
    layout["shapes"] = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": _date(moment.t),
            "x1": _date(moment.t),
            "y0": 0,
            "y1": 1,
            "line": {"color": COLOURS[5], "dash": "dot", "width": 1.5},
        }
        for moment, _ in one.changes
    ]
    data = [dots, *([bounds] if upper else [])]
    return Figure("History", one.name, _sentence(one), _HEIGHT, data, layout)


def _sentence(one: CellHistory) -> str:
    if not one.changes:
        return f"No change of level among {plural(len(one.moments), 'sweep')}."
    told = [f"from {moment.sweep} on {as_times(change.ratio)} the time before" for moment, change in one.changes]
    return f"{plural(len(told), 'change')} of level: {'; '.join(told)}."


def _date(t: float) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _interval(moment: Moment) -> str:
    reading = moment.reading
    return f"{as_ms(reading.low_ms)} to {as_ms(reading.high_ms)}" if reading.is_exact else ""
