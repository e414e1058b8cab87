"""What every picture has: its place on the page, a plain look, and labels as short as its neighbours allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.results import REFERENCE
from sweep.report.columns import tuner_name, varies

__all__ = ["COLOURS", "Figure", "Row", "by_device", "configuration_label", "height_of", "plain_layout"]

Row = Mapping[str, Any]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#555555")
"""Those of Okabe and Ito, which people with any colour vision can tell apart."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what to know when looking at it."""

    section: str
    """Pictures of one section stand together."""
    title: str
    about: str
    height: int
    """Pixels."""
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    has_log_switch: bool = False
    """Whether its x axis can be changed between linear and logarithmic."""


def configuration_label(row: Row, rows: Sequence[Row]) -> str:
    """What a cell chose, as short as its neighbours allow: axes on which all agree are left out."""
    if row["runtime"] == REFERENCE:
        return "ONNX Runtime"
    parts = [tuner_name(row), f"O{row['opt_level']}"]
    parts += [str(row[axis]) for axis in ("target", "layout", "precision") if varies(rows, axis)]
    return " ".join(parts + ([f"batch {row['batch']}"] if varies(rows, "batch") else []))


def by_device(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows of each device, in the order they come."""
    devices = dict.fromkeys(row["device"] for row in rows)
    return [(device, [row for row in rows if row["device"] == device]) for device in devices]


def height_of(lines: int) -> int:
    """Pixels of a picture with so many lines of names."""
    return 96 + 26 * lines


def plain_layout(lines: int, x: str, left: bool = False) -> dict[str, Any]:
    """`left`: the y axis names things, the first on top, and takes the room their names need."""
    names = {"autorange": "reversed", "automargin": True, "ticklabelstandoff": 6, "showgrid": False} if left else {}
    return {
        "margin": {"l": 10 if lines else 56, "r": 48, "t": 8, "b": 48},
        "xaxis": {"title": {"text": x}, "gridcolor": "#e6e6e6", "zerolinecolor": "#bbb", "automargin": True},
        "yaxis": {"gridcolor": "#e6e6e6", **names},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#222"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": not left,
        "dragmode": False,
        "hovermode": "closest",
    }
