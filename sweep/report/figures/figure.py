"""The common parts of all pictures: place on the page, plain look, and labels as short as their neighbours allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms, rounded_up
from sweep.analysis.rows.bounds import EXACT, UPPER, Reading
from sweep.analysis.rows.runtime_rows import baseline_title, is_compiled_row, runtime_title
from sweep.plain_text import as_label
from sweep.report.table_columns import tuner_name, varies
from sweep.study.axes import axes_under, axis_of, value_in

__all__ = [
    "BASELINE_COLOUR",
    "COLOURS",
    "HEAT",
    "NO_VALUE",
    "Figure",
    "Row",
    "by_device",
    "configuration_label",
    "height_of",
    "known_ms",
    "known_text",
    "labelled",
    "plain_layout",
    "tuner_colours",
    "values_beside",
]

Row = Mapping[str, Any]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00")
"""Those of Okabe and Ito, which people with any colour vision can tell apart."""
BASELINE_COLOUR = "#333333"
_TEMPLATES = ("hovertemplate", "texttemplate")
_UNTUNED_COLOUR = "#A9B1BC"
NO_VALUE = "#dfe4ea"
"""What a map has behind its cells: the words of those without a value are dark, on any paper."""
HEAT = ((0, "#74B5E0"), (0.12, "#BFDDF1"), (0.4, "#F5F1E4"), (1, "#F0B778"))
"""From good to bad, on a map: blue and orange stay apart for any eyes, and dark letters are read on all of it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what to know when looking at it."""

    section: str
    """Pictures of one section stand together."""
    title: str
    about: str
    height: int
    """Pixels."""
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    has_log_switch: bool = False
    """Whether its x axis can be changed between linear and logarithmic."""
    model: str | None = None
    """Where it shows one model only."""
    device: str | None = None
    """Where it shows one device only."""
    note: str = ""
    """What holds for this picture and not for its section."""


def labelled(value: Any) -> Any:
    """A picture whose names are text: Plotly takes some HTML for markup. Templates are ours and stay as they are."""
    if isinstance(value, str):
        return as_label(value)
    if isinstance(value, Mapping):
        return {key: part if key in _TEMPLATES else labelled(part) for key, part in value.items()}
    return [labelled(part) for part in value] if isinstance(value, list | tuple) else value


def configuration_label(row: Row, rows: Sequence[Row]) -> str:
    """What a cell chose, as short as its neighbours allow: axes on which all agree are left out."""
    beside = [axis for axis in (axis_of("target"), *axes_under()) if varies(rows, axis.name)]
    parts = [tuner_name(row), f"O{row['opt_level']}"]
    if not is_compiled_row(row):
        parts, beside = [runtime_title(row)], [axis for axis in beside if axis.in_other_runtimes]
    return " ".join([*parts, *(axis.words(value_in(row, axis.name)) for axis in beside)])


def tuner_colours(rows: Sequence[Row]) -> dict[str, str]:
    """A colour a tuner or runtime, by the name that people read, the same in all pictures of a page."""
    fixed = {"untuned": _UNTUNED_COLOUR} | ({title: BASELINE_COLOUR} if (title := baseline_title(rows)) else {})
    names = [name for name in dict.fromkeys(tuner_name(row) for row in rows) if name not in fixed]
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)} | fixed


def values_beside(x: Sequence[float], y: Sequence[str], texts: Sequence[str]) -> Mapping[str, Any]:
    """Numbers to the right of where bars and their whiskers end, which would strike them through."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": list(x),
        "y": list(y),
        "text": [f"\u00a0{text}" for text in texts],  # a gap, which the point itself would fill
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def known_ms(row: Row) -> float:
    """Median of a measured row; of one that something slowed, what it takes at most."""
    reading = Reading.of(row)
    return reading.high_ms if reading.bound == UPPER else float(row["latency_ms_median"])


def known_text(row: Row) -> str:
    """`3.36`, `≤17.8`; `(17.6)` where the number cannot be relied on."""
    bound = Reading.of(row).bound
    if bound == UPPER:
        return f"≤{as_ms(rounded_up(known_ms(row)))}"
    return as_ms(row["latency_ms_median"]) if bound == EXACT else f"({as_ms(row['latency_ms_median'])})"


def by_device(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows of each device, in the order they come."""
    devices = dict.fromkeys(row["device"] for row in rows)
    return [(device, [row for row in rows if row["device"] == device]) for device in devices]


def height_of(lines: int) -> int:
    """Pixels of a picture with so many lines of names."""
    return 96 + 26 * lines


def plain_layout(lines: int, x: str, left: bool = False) -> dict[str, Any]:
    """`left`: the y axis names things, the first on top, and takes the room their names need."""
    names = {"autorange": "reversed", "automargin": True, "ticklabelstandoff": 6, "showgrid": False} if left else {}
    return {
        "margin": {"l": 10 if lines else 56, "r": 48, "t": 8, "b": 48},
        "xaxis": {"title": {"text": x}, "gridcolor": "#e6e6e6", "zerolinecolor": "#bbb", "automargin": True},
        "yaxis": {"gridcolor": "#e6e6e6", **names},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#222"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": not left,
        "dragmode": False,
        "hovermode": "closest",
    }
