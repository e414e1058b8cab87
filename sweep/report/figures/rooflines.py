"""Draws layers under the roof of their device: operations a second against operations a byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_ms, as_percent
from sweep.analysis.rooflines.placed_layers import roofline_words
from sweep.report.figures.figure import COLOURS, Figure, plain_layout

__all__ = ["rooflines"]

_HEIGHT = 420
_LEAST_DOT, _DOT = 6.0, 34.0
"""Pixels: of a layer that takes no time, and what one that takes all of it has beside."""

Row = Mapping[str, Any]


def rooflines(rows: Sequence[Row]) -> Iterator[Figure]:
    """A picture a cell whose layers were timed."""
    for row in rows:
        shown = [layer for layer in row["layers"] if layer["gflops"] and layer["intensity"]]
        if shown:
            yield _roofline(row, shown)


def _roofline(row: Row, shown: Sequence[Row]) -> Figure:
    bounds = list(dict.fromkeys(layer["bound_by"] for layer in shown))
    dots = [
        _dots(bound, [layer for layer in shown if layer["bound_by"] == bound], COLOURS[index % len(COLOURS)])
        for index, bound in enumerate(bounds)
    ]
    layout = plain_layout(0, x="operations a byte of inputs, weights and outputs")
    layout["xaxis"] |= {"type": "log"}
    layout["yaxis"] |= {"type": "log", "title": {"text": "GFLOP/s"}, "automargin": True}
    return Figure(
        "Roofline",
        f"{row['cell_name']}",
        f"{roofline_words(row)} A dot is a layer, large where it takes much of the time; the lines are the most that "
        "the device did, from memory and from its caches.",
        _HEIGHT,
        [*_roof_lines(row["roof"], shown), *dots],
        layout,
        model=row["model"],
        device=row["device"],
    )


def _dots(bound: str, layers: Sequence[Row], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"bound by {bound}",
        "x": [layer["intensity"] for layer in layers],
        "y": [layer["gflops"] for layer in layers],
        "customdata": [
            [layer["layer"], as_ms(layer["time_ms"]), as_percent(layer["share_of_roof"]), layer["count"]]
            for layer in layers
        ],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} ms, %{customdata[3]} times<br>"
        "%{customdata[2]} of its roof<extra></extra>",
        "marker": {
            "color": colour,
            "opacity": 0.75,
            "size": [_LEAST_DOT + _DOT * (layer["time_share"] or 0.0) ** 0.5 for layer in layers],
        },
    }


def _roof_lines(roof: Row, shown: Sequence[Row]) -> list[dict[str, Any]]:
    """From memory, and from the cache that gives most: to the ridge, then flat."""
    peak = roof["operations"]["per_s"] / 1e9
    least, most = (pick(layer["intensity"] for layer in shown) for pick in (min, max))
    fastest = max(roof["streams"], key=lambda stream: stream["per_s"])
    lines = []
    for name, stream, dash in (("memory", roof["streams"][-1], "solid"), ("fastest cache", fastest, "dot")):
        ridge = peak * 1e9 / stream["per_s"]
        ends = sorted({min(least, ridge) / 1.5, ridge, max(most, ridge) * 1.5})
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name}: {stream['per_s'] / 1e9:.3g} GB/s",
                "x": ends,
                "y": [min(peak, x * stream["per_s"] / 1e9) for x in ends],
                "line": {"color": "#333333", "dash": dash, "width": 1.5},
                "hoverinfo": "skip",
            }
        )
    return lines
