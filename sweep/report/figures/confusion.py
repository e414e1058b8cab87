"""Draws what is taken for what, and accuracy with its interval beside latency."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.columns import LATENCY
from sweep.report.figures.figure import HEAT, NO_VALUE, Figure, Row, by_device, configuration_label, plain_layout
from sweep.report.table_columns import tuner_name

__all__ = ["accuracy_beside_latency", "confusion_data", "confusion_maps"]

_MOST_CLASSES = 40
"""With more, no cell of a map can be told from the next."""
_SECTION = "Quality"


def confusion_maps(model: str, rows: Sequence[Row]) -> Iterator[Figure]:
    """A map for the fastest, the most and the least accurate cell of each device."""
    for device, of_device in by_device(rows):
        evaluated = [row for row in of_device if row.get("confusion_json")]
        for row in _telling(evaluated):
            data = confusion_data(row)
            if data is None:
                continue
            side = len(data["y"])
            layout = plain_layout(side, x="predicted as", left=True)
            layout["xaxis"] |= {"type": "category", "showgrid": False}
            layout["yaxis"] |= {"type": "category", "showgrid": False, "title": {"text": "is"}}
            layout["plot_bgcolor"] = NO_VALUE
            yield Figure(
                _SECTION,
                f"{model} on {device}: {configuration_label(row, evaluated)}",
                f"Rows are what samples are, columns what they are taken for: {row['accuracy']:.2%} of "
                f"{row['evaluated_samples']} on the diagonal.",
                120 + 26 * side,
                [data],
                layout,
                model=model,
                device=device,
            )


def _telling(evaluated: Sequence[Row]) -> list[Row]:
    timed = [row for row in evaluated if Reading.of(row).is_exact]
    chosen = [
        *([min(timed, key=lambda row: float(row[LATENCY]))] if timed else []),
        *([max(evaluated, key=_accuracy), min(evaluated, key=_accuracy)] if evaluated else []),
    ]
    return list({row["cell_id"]: row for row in chosen}.values())


def _accuracy(row: Row) -> float:
    return float(row["accuracy"])


def confusion_data(row: Row) -> Mapping[str, Any] | None:
    """Plotly's map of a row's confusion matrix; None where it has none, or too many classes to be looked at."""
    told = json.loads(row.get("confusion_json") or "null")
    if not told or told["classes"] > _MOST_CLASSES:
        return None
    side, counts = range(told["classes"]), {(truth, guess): count for truth, guess, count in told["counts"]}
    names = [str(told["names"][one]) if one < len(told["names"]) else str(one) for one in side]
    lines = [[counts.get((truth, guess), 0) for guess in side] for truth in side]
    return {
        "type": "heatmap",
        "x": names,
        "y": names,
        # Shares of each class: on the diagonal the bluer the better, beside it the redder the worse
        "z": [
            [_badness(count / (sum(line) or 1), is_right=at == truth) for at, count in enumerate(line)]
            for truth, line in enumerate(lines)
        ],
        "text": [[str(count or "") for count in line] for line in lines],
        "texttemplate": "%{text}",
        "textfont": {"size": 11, "color": "#1c2430"},
        "hovertemplate": "is %{y}, taken for %{x}: %{text}<extra></extra>",
        "colorscale": HEAT,
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def _badness(share: float, *, is_right: bool) -> float | None:
    return None if not share else 1 - share if is_right else share


def accuracy_beside_latency(model: str, rows: Sequence[Row], colours: Mapping[str, str]) -> Iterator[Figure]:
    """A picture a device, of the cells with both: up is more accurate, left is faster."""
    for device, of_device in by_device(rows):
        shown = [row for row in of_device if row.get("accuracy_ci_low") is not None and Reading.of(row).is_exact]
        if len(shown) < 2:
            continue
        dots = [
            {
                "type": "scatter",
                "mode": "markers",
                "name": tuner,
                "x": [row[LATENCY] for row in of_tuner],
                "y": [row["accuracy"] for row in of_tuner],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [row["accuracy_ci_high"] - row["accuracy"] for row in of_tuner],
                    "arrayminus": [row["accuracy"] - row["accuracy_ci_low"] for row in of_tuner],
                    "thickness": 1,
                },
                "customdata": [[configuration_label(row, shown)] for row in of_tuner],
                "hovertemplate": "%{customdata[0]}<br>%{x:.4g} ms, %{y:.2%}<extra></extra>",
                "marker": {"color": colours[tuner], "size": 9},
            }
            for tuner in dict.fromkeys(map(tuner_name, shown))
            if (of_tuner := [row for row in shown if tuner_name(row) == tuner])
        ]
        layout = plain_layout(0, x="median latency (ms)")
        layout["yaxis"] |= {"title": {"text": "accuracy"}, "automargin": True, "tickformat": ".1%"}
        yield Figure(
            _SECTION,
            f"{model} on {device}: accuracy beside latency",
            "Up is more accurate, left is faster; whiskers are 95 % intervals of the accuracy.",
            320,
            dots,
            layout,
            model=model,
            device=device,
        )
