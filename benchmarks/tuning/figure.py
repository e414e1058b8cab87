"""Pictures of the tuning benchmarks: self-contained pages, and SVG where plotly can write it (kaleido is installed)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["draw_best_so_far", "draw_time"]

_COLOURS = {"stock": "#D55E00", "sweep": "#0072B2"}
_DASHES = ("solid", "dash", "dot")
_PARTS = {"search": "#0072B2", "build": "#E69F00", "measure": "#009E73", "other": "#CC79A7", "idle": "#DDDDDD"}


def draw_best_so_far(folder: Path, found: Mapping[str, Any]) -> Path:
    """Best so far against time, of each run: lines are estimates, points whole models, the dashes ONNX Runtime."""
    sizes = sorted({row["round"] for row in found["rows"]}, reverse=True)
    minutes = max(row["minutes"] for row in found["rows"])
    traces: list[dict[str, Any]] = []
    for label, steps in found["estimates"].items():
        who, _, size = label.partition("-")
        line = {"shape": "hv", "color": _COLOURS[who], "dash": _DASHES[sizes.index(int(size)) % len(_DASHES)]}
        ends = [*steps, (60.0 * minutes, steps[-1][1])]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{_named(who)}, rounds of {size}",
                "x": [t / 60.0 for t, _ in ends if t <= 60.0 * minutes],
                "y": [seconds * 1e3 for t, seconds in ends if t <= 60.0 * minutes],
                "line": line,
            }
        )
    traces += [_point(row, who) for row in found["rows"] for who in ("stock", "sweep") if row.get(f"{who}_ms")]
    ort_ms = statistics.median(found["times"]["ONNX Runtime"]) * 1e3
    flat = {"type": "scatter", "mode": "lines", "name": "ONNX Runtime", "x": [0, minutes], "y": [ort_ms, ort_ms]}
    traces.append({**flat, "line": {"color": "#555555", "dash": "dashdot"}})
    layout = {
        "title": {"text": "Best so far: sum over tasks of weight times best median; points: the whole model, measured"},
        "xaxis": {"title": {"text": "minutes of tuning"}},
        "yaxis": {"title": {"text": "ms, one thread"}, "type": "log", "dtick": "D2"},
        "template": "plotly_white",
    }
    return _write(folder / "best-so-far.html", traces, layout)


def draw_time(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Where the time of each core went, a bar a run and core."""
    names = [f"{row['run']} core {row['core']}" for row in rows]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": part,
            "y": names,
            "x": [100.0 * row[part] for row in rows],
            "marker": {"color": colour},
        }
        for part, colour in _PARTS.items()
    ]
    layout = {
        "title": {"text": "Where the time of tuning went"},
        "barmode": "stack",
        "xaxis": {"title": {"text": "% of the tuning time"}},
        "yaxis": {"autorange": "reversed"},
        "template": "plotly_white",
    }
    return _write(folder / "time.html", traces, layout)


def _point(row: Mapping[str, Any], who: str) -> dict[str, Any]:
    median, least, largest = row[f"{who}_ms"]
    spread = {"type": "data", "symmetric": False, "array": [largest - median], "arrayminus": [median - least]}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{_named(who)}, rounds of {row['round']}: measured",
        "showlegend": False,
        "x": [row["minutes"]],
        "y": [median],
        "error_y": spread,
        "marker": {"color": _COLOURS[who], "size": 10, "line": {"color": "#222", "width": 1}},
    }


def _named(who: str) -> str:
    return "MetaSchedule as shipped" if who == "stock" else "sweep"


def _write(path: Path, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Path:
    import plotly.graph_objects as graph_objects

    figure = graph_objects.Figure(data=list(traces), layout=dict(layout))
    figure.write_html(path, include_plotlyjs=True)
    if find_spec("kaleido") is not None:
        figure.write_image(path.with_suffix(".svg"), width=1000, height=560)
    return path
