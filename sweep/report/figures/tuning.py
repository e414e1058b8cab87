"""What tuning reached, against trials and against time; and where the time of the sweep went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from sweep.report.figures.figure import COLOURS, Figure, Row, configuration_label, height_of, plain_layout

__all__ = ["stage_times", "tuning_curves"]

_CURVES_SHOWN = 12
_DASHES = ("solid", "dash", "dot", "dashdot")


def tuning_curves(model: str, rows: Sequence[Row], by_cell: Mapping[str, Sequence[Row]]) -> Iterator[Figure]:
    """Two pictures of the best so far: against trials and against time. `by_cell`: points of the curves."""
    tuned = [row for row in rows if row["cell_id"] in by_cell][:_CURVES_SHOWN]
    if not tuned:
        return
    colours = {tuner: COLOURS[i % len(COLOURS)] for i, tuner in enumerate(dict.fromkeys(row["tuner"] for row in tuned))}
    dashes = {
        device: _DASHES[i % len(_DASHES)] for i, device in enumerate(dict.fromkeys(row["device"] for row in tuned))
    }
    ticks = _ticks([point["best_latency_ms"] for row in tuned for point in by_cell[row["cell_id"]]])
    for axis, title, unit in (("trial", "against trials", "trials"), ("seconds", "against time", "seconds of tuning")):
        lines = [
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{configuration_label(row, rows)} · {row['device']}",
                "x": [point[axis] for point in by_cell[row["cell_id"]]],
                "y": [point["best_latency_ms"] for point in by_cell[row["cell_id"]]],
                "line": {
                    "shape": "hv",
                    "width": 2,
                    "color": colours[row["tuner"]],
                    "dash": dashes[row["device"]],
                },
                "opacity": 1 if row["opt_level"] == max(r["opt_level"] for r in tuned) else 0.5,
                "hovertemplate": "%{x:.4g} " + unit + ": %{y:.3g} ms<extra>%{fullData.name}</extra>",
            }
            for row in tuned
        ]
        layout = plain_layout(0, x=unit)
        layout["yaxis"] |= {"type": "log", "title": {"text": "best so far (ms, estimate)"}, "tickvals": ticks}
        layout["yaxis"] |= {"ticktext": [f"{tick:g}" for tick in ticks]}
        layout["legend"] = {"orientation": "h", "y": -0.28, "font": {"size": 11}}
        about = "Sum over tasks of weight times best trial. A colour a tuner, a dash a device; pale: lower opt levels."
        yield Figure("Tuning", f"{model} {title}", about, 360 + 12 * len(tuned), lines, layout)


def stage_times(stage_seconds: Mapping[str, float]) -> Iterator[Figure]:
    """A bar a kind of stage."""
    seconds = sorted(stage_seconds.items(), key=lambda item: item[1])
    total = sum(value for _, value in seconds)
    if total == 0:  # no stage, or made-up ones that take no time
        return
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": [kind for kind, _ in seconds],
        "x": [value for _, value in seconds],
        "text": [f"{value / total:.0%}" for _, value in seconds],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": COLOURS[0]},
        "hovertemplate": "%{y}: %{x:.1f} s<extra></extra>",
    }
    layout = plain_layout(len(seconds), x="seconds in all attempts that ended well", left=True)
    layout["yaxis"]["autorange"] = True
    yield Figure("Where the time went", "", "Shared stages count once.", height_of(len(seconds)), [bar], layout)


def _ticks(values: Sequence[float]) -> list[float]:
    """1, 2, 5, 10, ... over the range: Plotly's own on a short logarithmic axis can be a single one."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [step * 10.0**power for power in range(low, high + 1) for step in (1, 2, 5)]
