"""Draws where the time went: by kind of stage, and within tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sweep.analysis.formatting import as_duration, as_percent
from sweep.report.figures.figure import COLOURS, Figure, Row, height_of, plain_layout
from sweep.report.figures.scale import in_unit
from sweep.report.tuning_section import pool_name

__all__ = ["pool_times", "stage_times"]

_SECTION = "Where the time went"
_PARTS = ("search", "build", "measure", "validate")
_POOLS_SHOWN = 24


def stage_times(stage_seconds: Mapping[str, float]) -> Iterator[Figure]:
    """A bar a kind of stage."""
    seconds = sorted(stage_seconds.items(), key=lambda item: item[1])
    total = sum(value for _, value in seconds)
    if total == 0:  # no stage, or made-up ones that take no time
        return
    per, unit = in_unit(seconds[-1][1])
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": [kind for kind, _ in seconds],
        "x": [value / per for _, value in seconds],
        "text": [f"{as_duration(value)}, {as_percent(value / total)}" for _, value in seconds],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": COLOURS[0]},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = plain_layout(len(seconds), x=unit, left=True)
    layout["margin"] = {**layout["margin"], "r": 110}
    layout["yaxis"]["autorange"] = True
    yield Figure(
        _SECTION,
        "By stage",
        "Of all attempts that ended well. A shared stage counts once.",
        height_of(len(seconds)),
        [bar],
        layout,
    )


def pool_times(pools: Sequence[Row]) -> Iterator[Figure]:
    """A bar a pool, of the seconds that each part of tuning worked; parts overlap in time."""
    shown = [pool for pool in pools if any(pool[f"{part}_s"] for part in _PARTS)][:_POOLS_SHOWN]
    if not shown:
        return
    per, unit = in_unit(max(sum(pool[f"{part}_s"] for part in _PARTS) for pool in shown))
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "measure again" if part == "validate" else part,
            "y": [pool_name(pool) for pool in shown],
            "x": [pool[f"{part}_s"] / per for pool in shown],
            "text": [as_duration(pool[f"{part}_s"]) for pool in shown],
            "textposition": "none",
            "marker": {"color": colour},
            "hovertemplate": "%{y}<br>%{fullData.name}: %{text}<extra></extra>",
        }
        for part, colour in zip(_PARTS, COLOURS, strict=False)
    ]
    layout = plain_layout(len(shown), x=f"{unit} of work", left=True)
    layout |= {
        "barmode": "stack",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
    }
    layout["margin"] = {**layout["margin"], "t": 36}
    about = (
        "Search, build and measurement go on side by side, several builds at a time: together more than the clock says."
    )
    yield Figure(_SECTION, "Tuning, by pool", about, height_of(len(shown)) + 48, bars, layout)
