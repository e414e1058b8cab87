"""Draws latencies: a bar a cell, and how much its repeats differ."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_times
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.runtime_rows import baseline_title, has_compiled, is_baseline, is_compiled_row
from sweep.report.figures.figure import (
    BASELINE_COLOUR,
    COLOURS,
    Figure,
    Row,
    by_device,
    configuration_label,
    height_of,
    known_ms,
    known_text,
    plain_layout,
    values_beside,
)
from sweep.report.figures.scale import bars_axis
from sweep.report.table_columns import tuner_name

__all__ = ["distributions", "latency_bars"]

_BARS_SHOWN = 24
"""A device: more would be neither read nor printed; the table has the rest."""
_CELLS_SHOWN = 16


def latency_bars(model: str, rows: Sequence[Row], colours: Mapping[str, str]) -> Iterator[Figure]:
    """A picture a device: the fastest cells, and where the baseline stands. `colours`: by name of the tuner."""
    for device, of_device in by_device(rows):
        measured = [row for row in of_device if row["latency_ms_median"] is not None]
        shown = measured[:_BARS_SHOWN]
        if not shown or (has_compiled(rows) and not has_compiled(shown)):
            continue
        labels = [configuration_label(row, rows) for row in shown]
        medians = [known_ms(row) for row in shown]
        disturbed = sum(not Reading.of(row).is_exact for row in shown)
        bar = {
            "type": "bar",
            "orientation": "h",
            "y": labels,
            "x": medians,
            "marker": {
                "color": [colours[tuner_name(row)] for row in shown],
                "pattern": {"shape": ["" if Reading.of(row).is_exact else "/" for row in shown]},
            },
            "error_x": _error_bars(shown),
            "customdata": [[row["cell_name"], as_times(row["speedup_vs_untuned"])] for row in shown],
            "hovertemplate": "%{customdata[0]}<br>%{x:.4g} ms<br>vs untuned %{customdata[1]}<extra></extra>",
        }
        others = [row for row in measured if is_baseline(row) and not is_compiled_row(row)]
        baseline = [row["latency_ms_median"] for row in others if Reading.of(row).is_exact][:1]
        line = f"; the dashed line is {baseline_title(rows)}" if baseline else ""
        layout = plain_layout(len(shown), x="median latency (ms)", left=True)
        ends = [max(row["latency_ms_ci_high"] or 0.0, ms) for row, ms in zip(shown, medians, strict=True)]
        layout["xaxis"] |= {"rangemode": "tozero", **bars_axis(medians, [*baseline, *ends])}
        numbers = values_beside(ends, labels, [known_text(row) for row in shown])
        hatched = "; what is hatched was disturbed, and takes at most what ≤ says" if disturbed else ""
        yield Figure(
            "Latency",
            f"{model} on {device}",
            f"Shorter is faster; whiskers are 95 % intervals of the median{line}{hatched}.",
            height_of(len(shown)),
            [bar, *(_line(x, labels) for x in baseline), numbers],
            layout,
            has_log_switch=max(medians) > 5 * min(medians),
            model=model,
            device=device,
            note=f"The fastest {len(shown)} of {len(measured)}." if len(measured) > len(shown) else "",
        )


def distributions(model: str, rows: Sequence[Row], repeats: Mapping[str, Sequence[Row]]) -> Iterator[Figure]:
    """A picture of the repeats of the fastest cells, each against its own median. `repeats`: by cell."""
    devices = by_device([row for row in rows if row["cell_id"] in repeats and row["latency_ms_median"] is not None])
    shown = [row for _, of_device in devices for row in of_device[: max(1, _CELLS_SHOWN // len(devices))]]
    if not shown:
        return
    boxes = []
    for row in shown:
        values = [one["seconds"] for one in repeats[row["cell_id"]]]
        middle = statistics.median(values)
        boxes.append(
            {
                "type": "box",
                "name": f"{configuration_label(row, rows)} · {row['device']}",
                "x": [(value / middle - 1) * 100 for value in values],
                "boxpoints": "all",
                "jitter": 0.5,
                "pointpos": 0,
                "marker": {"size": 4, "color": COLOURS[0]},
                "line": {"width": 1, "color": "#777"},
                "fillcolor": "rgba(0,0,0,0)",
                "hovertemplate": "%{x:+.2f} %<extra>%{fullData.name}</extra>",
            }
        )
    layout = plain_layout(len(shown), x="difference from the median (%)", left=True) | {"showlegend": False}
    about = "A dot a repeat. Narrow is trustworthy; a tail to the right is other work on the device."
    of = sum(len(of_device) for _, of_device in devices)
    note = f"The fastest {len(shown)} of {of}." if of > len(shown) else ""
    height = height_of(len(shown))
    yield Figure("How much the repeats differ", model, about, height, boxes, layout, model=model, note=note)


def _error_bars(rows: Sequence[Row]) -> Mapping[str, Any]:
    def beyond(row: Row, end: str) -> float:
        value = row[f"latency_ms_{end}"] if Reading.of(row).is_exact else None
        return 0.0 if value is None else abs(float(value - row["latency_ms_median"]))

    return {
        "type": "data",
        "symmetric": False,
        "array": [beyond(row, "ci_high") for row in rows],
        "arrayminus": [beyond(row, "ci_low") for row in rows],
        "thickness": 1,
        "width": 3,
        "color": "#333",
    }


def _line(x: float, labels: Sequence[str]) -> Mapping[str, Any]:
    """Through all bars. No shape of the layout: those would strike the numbers through."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x, x],
        "y": [labels[0], labels[-1]],
        "line": {"color": BASELINE_COLOUR, "dash": "dash", "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
    }
