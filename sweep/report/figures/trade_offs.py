"""Draws latency against what it costs: size, memory or accuracy, with the cells that no other beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.answering.pareto import COSTS, DISTANCE, front, grouped, points
from sweep.analysis.rows.columns import LATENCY
from sweep.analysis.rows.objective_fit import as_limit, objective_of
from sweep.report.figures.figure import COLOURS, Figure, Row, configuration_label, plain_layout
from sweep.report.table_columns import tuner_name

__all__ = ["pareto_fronts"]

_HEIGHT = 320
_FEWEST = 3
"""Cells: of two, the table says all."""
_LEAST = 0.1
"""Share by which cells differ at least where a picture is drawn though nothing limits them."""
_TITLES: Mapping[str, str] = {
    "accuracy_drop": "loss of accuracy",
    DISTANCE: "distance from float32 (1 less the cosine)",
    "peak_memory_bytes": "peak memory (MB)",
    "artifact_bytes": "size of the library (MB)",
}


def pareto_fronts(model: str, rows: Sequence[Row], colours: Mapping[str, str]) -> Iterator[Figure]:
    """A picture for each place and each cost that is limited, or differs. `colours`: by name of the tuner."""
    for group in grouped(rows):
        for cost in COSTS:
            shown = points(group, cost)
            if len(shown) >= _FEWEST and (_is_limited(shown, cost) or _differs(shown, cost)):
                yield _front_figure(model, shown, cost, colours)


def _is_limited(rows: Sequence[Row], cost: str) -> bool:
    wanted = objective_of(rows[0])
    return wanted is not None and cost in wanted.subject_to


def _differs(rows: Sequence[Row], cost: str) -> bool:
    """By so much that one might choose by it."""
    if cost == DISTANCE and not any(row.get("quantised_operators") for row in rows):
        return False  # floats differ by the order of their sums
    values = [row[cost] for row in rows]
    least, most = float(min(values)), float(max(values))
    return most > (1 + _LEAST) * least if least > 0 else most > least


def _front_figure(model: str, shown: Sequence[Row], cost: str, colours: Mapping[str, str]) -> Figure:
    unit = 1e6 if cost.endswith("_bytes") else 1.0
    best = front(shown, cost)
    dots = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": tuner,
            "x": [row[LATENCY] for row in of_tuner],
            "y": [row[cost] / unit for row in of_tuner],
            "customdata": [[configuration_label(row, shown), as_limit(cost, row[cost])] for row in of_tuner],
            "hovertemplate": "%{customdata[0]}<br>%{x:.4g} ms, %{customdata[1]}<extra></extra>",
            "marker": {"color": colours[tuner], "size": 9},
        }
        for tuner in dict.fromkeys(map(tuner_name, shown))
        if (of_tuner := [row for row in shown if tuner_name(row) == tuner])
    ]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "none is better in both",
        "x": [row[LATENCY] for row in best],
        "y": [row[cost] / unit for row in best],
        "line": {"color": COLOURS[5], "shape": "hv", "width": 1.5},
        "hoverinfo": "skip",
    }
    layout = plain_layout(0, x="median latency (ms)")
    layout["yaxis"] |= {"title": {"text": _TITLES[cost]}, "automargin": True}
    layout["legend"] = {"orientation": "h", "y": -0.28, "font": {"size": 11}}  # beside it a phone has no room
    wanted = objective_of(shown[0])
    limit = None if wanted is None else wanted.subject_to.get(cost)
    if limit is not None:
        layout["shapes"] = [_limit_line(limit / unit)]
    return Figure(
        "Trade-offs",
        f"{model} on {shown[0]['device']}: {_TITLES[cost].partition(' (')[0]}",
        "Left is faster, low is cheaper; on the line are the cells that no other beats in both"
        + ("; the dashed line is the limit." if limit is not None else "."),
        _HEIGHT,
        [*dots, line],
        layout,
        model=model,
        device=shown[0]["device"],
    )


def _limit_line(y: float) -> dict[str, Any]:
    line = {"color": "#333333", "dash": "dash", "width": 1}
    return {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}
