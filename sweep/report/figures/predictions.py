"""Draws what a planner predicted of cells that it did not measure, and what those of its audit took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sweep.analysis.rows.runtime_rows import GroupKey, group_key
from sweep.report.figures.figure import COLOURS, Figure, Row, configuration_label, height_of, plain_layout

__all__ = ["prediction_figures"]

_SHOWN = 40
_JUDGED = ("skipped", "done")
"""Not of a cell of the audit that failed, or whose measurement something disturbed: it says nothing of a prediction."""
_SKIPPED, _AUDITED, _MEASURED = "#8a94a3", COLOURS[0], COLOURS[5]


def prediction_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    """A picture where a planner has judged cells: predicted latency with its interval, over the fastest measured one.

    All of the audit, as far as there is room, then those that were the nearest to the fastest.
    """
    fastest: dict[GroupKey, float] = {}
    for row in rows:
        if row["status"] == "done" and row["latency_ms_median"] is not None:
            fastest[group_key(row)] = min(fastest.get(group_key(row), float("inf")), row["latency_ms_median"])
    judged = [
        row
        for row in rows
        if row["status"] in _JUDGED and row.get("predicted_low_ms") is not None and group_key(row) in fastest
    ]
    if not judged:
        return
    judged.sort(key=lambda row: (row["status"] != "done", row["predicted_low_ms"] / fastest[group_key(row)]))
    shown = sorted(judged[:_SHOWN], key=lambda row: row["predicted_latency_ms"] / fastest[group_key(row)])
    is_told = len({row["device"] for row in judged}) > 1
    names = [
        f"{row['model']} {configuration_label(row, rows)}" + (f" on {row['device']}" if is_told else "")
        for row in shown
    ]
    best = [fastest[group_key(row)] for row in shown]
    traces = [
        _intervals(title, colour, [one for one in zip(names, best, shown, strict=True) if one[2]["status"] == status])
        for title, colour, status in (("skipped", _SKIPPED, "skipped"), ("audited", _AUDITED, "done"))
    ]
    audited = [one for one in zip(names, best, shown, strict=True) if one[2]["status"] == "done"]
    traces.append(
        {
            "type": "scatter", "mode": "markers", "name": "measured all the same",
            "x": [row["latency_ms_median"] / least for _, least, row in audited],
            "y": [name for name, _, _ in audited],
            "customdata": [[row["latency_ms_median"]] for _, _, row in audited],
            "hovertemplate": "%{y}<br>measured: %{customdata[0]:.4g} ms, %{x:.3g} times<extra></extra>",
            "marker": {"color": _MEASURED, "size": 9, "symbol": "diamond"},
        }
    )  # fmt: skip
    layout = plain_layout(len(shown), "times the fastest of the network on the device (log)", left=True)
    layout["xaxis"] |= {"type": "log"}
    layout["yaxis"] |= {"categoryorder": "array", "categoryarray": names}
    layout |= {"showlegend": True, "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}}
    layout["margin"] |= {"t": 36}
    layout["shapes"] = [
        {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "#333", "dash": "dot"}}
    ]
    about = "What the measured cells said of those that were not, with 98 %, and what those of the audit took."
    if len(judged) > len(shown):
        about += f" {len(shown)} of {len(judged)}, the nearest to the fastest."
    traces = [trace for trace in traces if trace["x"]]
    yield Figure("Planner", "Predicted, and not measured", about, height_of(len(shown)) + 28, traces, layout)


def _intervals(title: str, colour: str, some: Sequence[tuple[str, float, Row]]) -> dict[str, Any]:
    x = [row["predicted_latency_ms"] / best for _, best, row in some]
    high = [row["predicted_high_ms"] / best for _, best, row in some]
    low = [row["predicted_low_ms"] / best for _, best, row in some]
    return {
        "type": "scatter", "mode": "markers", "name": f"predicted, {title}", "x": x, "y": [name for name, _, _ in some],
        "error_x": {
            "type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 3,
            "array": [end - middle for end, middle in zip(high, x, strict=True)],
            "arrayminus": [middle - end for end, middle in zip(low, x, strict=True)],
        },
        "customdata": [
            [row[f"predicted_{end}_ms"] for end in ("low", "latency", "high")] for _, _, row in some
        ],
        "hovertemplate": "%{y}<br>predicted: %{customdata[1]:.4g} ms (%{customdata[0]:.4g} to %{customdata[2]:.4g})"
        "<extra></extra>",
        "marker": {"color": colour, "size": 7},
    }  # fmt: skip
