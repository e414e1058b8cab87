"""Draws how networks learned while weights were pruned away, and what accuracy is left of each share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.report.figures.figure import COLOURS, Figure, plain_layout

__all__ = ["training_figures"]

_SECTION = "Training"
_HEIGHT = 320
_FEWEST = 2
"""Points of a line."""


def training_figures(trainings: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Accuracy against sparsity of each network that was trained at several levels, then a curve for each training."""
    for of in dict.fromkeys(each["of"] for each in trainings):
        several = sorted((each for each in trainings if each["of"] == of), key=lambda each: each["sparsity"])
        if len(several) >= _FEWEST:
            yield _accuracy_figure(of, several)
    yield from (_curve_figure(each) for each in trainings if each["curve"])


def _accuracy_figure(of: str, trainings: Sequence[Mapping[str, Any]]) -> Figure:
    errors = [_half_interval(each["accuracy"], each["test_samples"]) for each in trainings]
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [100 * each["sparsity"] for each in trainings],
        "y": [100 * each["accuracy"] for each in trainings],
        "error_y": {"type": "data", "array": [100 * error for error in errors], "thickness": 1},
        "customdata": [[each["model"]] for each in trainings],
        "hovertemplate": "%{customdata[0]}<br>%{x:.1f} % zeros: %{y:.2f} %<extra></extra>",
        "line": {"color": COLOURS[0]},
    }
    layout = plain_layout(0, x="weights that are zero (%)")
    layout["yaxis"] |= {"title": {"text": "accuracy (%)"}, "automargin": True}
    layout["showlegend"] = False
    about = (
        f"On {trainings[0]['test_samples']} samples that no step has seen; whiskers: 95 % of repetitions with others."
    )
    return Figure(_SECTION, f"{of}: accuracy against sparsity", about, _HEIGHT, [line], layout)


def _half_interval(share: float, count: int | None) -> float:
    """Of a share of so many samples, by Wilson."""
    if not count:
        return 0.0
    z = 1.96
    return float(z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5)


def _curve_figure(training: Mapping[str, Any]) -> Figure:
    steps, losses, accuracies, shares = zip(*training["curve"], strict=True)
    lines = [
        _line("accuracy", steps, [100 * value for value in accuracies], COLOURS[0]),
        _line("sparsity", steps, [100 * value for value in shares], COLOURS[1]),
        {**_line("loss", steps, losses, COLOURS[3]), "yaxis": "y2"},
    ]
    layout = plain_layout(0, x="step")
    layout["yaxis"] |= {"title": {"text": "accuracy and sparsity (%)"}, "range": [0, 102]}
    layout["yaxis2"] = {"title": {"text": "loss"}, "overlaying": "y", "side": "right", "rangemode": "tozero"}
    layout["yaxis2"] |= {"showgrid": False, "automargin": True}
    layout["legend"] = {"orientation": "h", "y": -0.28}
    about = (
        "Accuracy on the samples that are kept for it, share of zero weights, and mean loss of the steps in between."
    )
    return Figure(_SECTION, training["model"], about, _HEIGHT + 40, lines, layout, model=training["model"])


def _line(name: str, x: Sequence[float], y: Sequence[float], colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 2}
    return {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": list(y), "line": line}
