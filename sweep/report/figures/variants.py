"""Draws what variants of a network buy: latency against accuracy, and against what is left of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.rows.runtime_rows import runtime_title
from sweep.report.figures.figure import COLOURS, Figure, Row, known_ms, plain_layout

__all__ = ["variant_figures"]

_SECTION = "Variants"
_HEIGHT = 340
_FEWEST = 3


def variant_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    """Two pictures at most for each network with variants, device and batch."""
    bases = {row["model"]: row["variant_of"] for row in rows if row.get("variant_of")}
    groups: dict[tuple[str, str, Any], list[Row]] = {}
    for row in rows:
        if row["latency_ms_median"] is not None and row["status"] in ("done", "tainted"):
            groups.setdefault((_root(row["model"], bases), row["device"], row["batch"]), []).append(row)
    for (root, device, batch), group in groups.items():
        if not any(row.get("variant_of") for row in group):
            continue
        where = f"{root} on {device}" + ("" if batch is None else f", batch {batch}")
        fastest = _fastest(group)
        with_accuracy = [row for row in fastest if _accuracy(row) is not None]
        if len({row["model"] for row in with_accuracy}) >= _FEWEST:
            about = "Each network's fastest cell in each runtime: left is faster, up is right more often."
            yield _figure(f"{where}: accuracy", about, with_accuracy, "accuracy (%)", lambda row: 100 * _accuracy(row))
        sized = [row for row in fastest if row.get("parameters")]
        if len({row["parameters"] for row in sized}) >= _FEWEST:
            about = "Each network's fastest cell in each runtime, against what the network holds."
            yield _figure(f"{where}: size", about, sized, "parameters", lambda row: row["parameters"])


def _root(model: str, bases: Mapping[str, str]) -> str:
    """What a variant is made of in the end."""
    seen: set[str] = set()
    while model in bases and model not in seen:
        seen.add(model)
        model = bases[model]
    return model


def _accuracy(row: Row) -> Any:
    """As it was evaluated, or else as its training counted."""
    return row["accuracy"] if row.get("accuracy") is not None else row.get("training_accuracy")


def _fastest(rows: Sequence[Row]) -> list[Row]:
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["model"], runtime_title(row)
        if key not in best or known_ms(row) < known_ms(best[key]):
            best[key] = row
    return list(best.values())


def _figure(title: str, about: str, rows: Sequence[Row], y_title: str, y: Callable[[Row], Any]) -> Figure:
    dots = []
    for number, runtime in enumerate(dict.fromkeys(map(runtime_title, rows))):
        shown = [row for row in rows if runtime_title(row) == runtime]
        dots.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": runtime,
                "x": [known_ms(row) for row in shown],
                "y": [y(row) for row in shown],
                "text": [row["model"] for row in shown] if number == 0 else None,
                "textposition": "top center",
                "textfont": {"size": 10},
                "customdata": [[row["model"]] for row in shown],
                "hovertemplate": "%{customdata[0]}<br>%{x:.4g} ms, %{y:.4g}<extra>%{fullData.name}</extra>",
                "marker": {"color": COLOURS[number % len(COLOURS)], "size": 9},
            }
        )
    layout = plain_layout(0, x="median latency (ms)")
    layout["yaxis"] |= {"title": {"text": y_title}, "automargin": True}
    layout["legend"] = {"orientation": "h", "y": -0.28}
    return Figure(_SECTION, title, about, _HEIGHT, dots, layout, device=rows[0]["device"])
