"""What tuning reached, against trials and against time, and where other runtimes stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.rows.runtime_rows import is_baseline, is_compiled_row, runtime_title
from sweep.planning.results.condition_numbers import number_in
from sweep.report.figures.figure import Figure, Row, configuration_label, plain_layout
from sweep.report.figures.scale import in_unit, ticks_between
from sweep.report.table_columns import tuner_name

__all__ = ["tuning_curves"]

_CURVES_SHOWN = 12
_FEW_POINTS = 3
"""A line through so few may have no length: they are dotted."""
_AXES = ("trial", "seconds", "best_latency_ms")
_DASHES = ("solid", "dash", "dot", "dashdot")


def tuning_curves(
    model: str, rows: Sequence[Row], by_cell: Mapping[str, Sequence[Row]], colours: Mapping[str, str]
) -> Iterator[Figure]:
    """Two pictures of the best so far: against trials and against time.

    by_cell: points of the curves; those that have no place on the axes are left out, as a damaged table has them.
    colours: by name of the tuner.
    """
    own = ((row["cell_id"], by_cell.get(row["cell_id"], ())) for row in rows)  # of this model: there may be thousands
    by_cell = {cell: drawn for cell, points in own if (drawn := [point for point in points if _has_place(point)])}
    tuned = [row for row in rows if row["cell_id"] in by_cell][:_CURVES_SHOWN]
    if not tuned:
        return
    dashes = {
        device: _DASHES[i % len(_DASHES)] for i, device in enumerate(dict.fromkeys(row["device"] for row in tuned))
    }
    others = [row for row in rows if not is_compiled_row(row) and row["device"] in dashes]
    points = [point for row in tuned for point in by_cell[row["cell_id"]]]
    levels = [row["latency_ms_median"] for row in others if row["latency_ms_median"] is not None]
    ticks = ticks_between([*(point["best_latency_ms"] for point in points), *levels])
    per_unit, time_unit = in_unit(max(point["seconds"] for point in points))
    for axis, title, unit, per in (
        ("trial", "against trials", "trials of the pool", 1.0),
        ("seconds", "against time", f"{time_unit} of tuning", per_unit),
    ):
        lines = [
            {
                "type": "scatter",
                "mode": "lines+markers" if len(by_cell[row["cell_id"]]) <= _FEW_POINTS else "lines",
                "name": f"{configuration_label(row, rows)} · {row['device']}",
                "x": [point[axis] / per for point in by_cell[row["cell_id"]]],
                "y": [point["best_latency_ms"] for point in by_cell[row["cell_id"]]],
                "line": {
                    "shape": "hv",
                    "width": 2,
                    "color": colours[tuner_name(row)],
                    "dash": dashes[row["device"]],
                },
                "opacity": 1 if row["opt_level"] == max(r["opt_level"] for r in tuned) else 0.5,
                "hovertemplate": "%{x:.4g} " + unit + ": %{y:.3g} ms<extra>%{fullData.name}</extra>",
            }
            for row in tuned
        ]
        lines += _runtime_lines(others, colours, dashes, (0, max(point[axis] for point in points) / per))
        layout = plain_layout(0, x=unit)
        layout["xaxis"] |= {"rangemode": "tozero"}
        layout["yaxis"] |= {"type": "log", "title": {"text": "best so far (ms, estimated)"}, "tickvals": ticks}
        layout["yaxis"] |= {"ticktext": [f"{tick:g}" for tick in ticks]}
        layout["legend"] = {"orientation": "h", "y": -0.28, "font": {"size": 11}}
        about = (
            "The sum over the tasks of weight times best trial, once every task has one. A colour a tuner, a dash a "
        )
        about += f"device; pale: lower opt levels{_about(others)}."
        height = 360 + 12 * len(lines)
        yield Figure("Tuning", f"{model} {title}", about, height, lines, layout, model=model)


def _about(others: Sequence[Row]) -> str:
    """What the level lines are, where there are any."""
    titles = ", ".join(dict.fromkeys(map(runtime_title, others)))
    dark = " and dark" if all(map(is_baseline, others)) else ""
    return f"; level{dark}: {titles}, the whole model" if others else ""


def _runtime_lines(
    rows: Sequence[Row], colours: Mapping[str, str], dashes: Mapping[str, str], ends: tuple[float, float]
) -> list[dict[str, Any]]:
    """A level line for each cell of another runtime that has a latency."""
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{configuration_label(row, rows)} · {row['device']}",
            "x": list(ends),
            "y": [row["latency_ms_median"]] * 2,
            "line": {"width": 1.5, "color": colours[tuner_name(row)], "dash": dashes[row["device"]]},
            "hovertemplate": "%{y:.3g} ms<extra>%{fullData.name}</extra>",
        }
        for row in rows
        if row["latency_ms_median"] is not None
    ]


def _has_place(point: Row) -> bool:
    return all(number_in(point, axis) is not None for axis in _AXES) and point["best_latency_ms"] > 0
