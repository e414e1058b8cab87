"""A layout as a PNG file, by matplotlib."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from sweep.inspection.drawing.colours import colour_of
from sweep.inspection.drawing.layered_layout import BOX_HEIGHT, Layout
from sweep.plain_text import visible

__all__ = ["write_png"]

_DPI = 100.0
_POINTS = 72 / _DPI
"""Of a pixel."""
_MOST_PIXELS = 30_000
"""Of a side: a larger picture is drawn smaller. matplotlib ends at 65,536."""
_LONGEST = 64


def write_png(layout: Layout, path: Path) -> None:
    """Draws it at its own size, up to what a picture can have."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path as Curve

    scale = min(1.0, _MOST_PIXELS / max(layout.width, layout.height))
    figure = Figure((layout.width * scale / _DPI, layout.height * scale / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, layout.width)
    axes.set_ylim(layout.height, 0)
    axes.axis("off")
    for line in layout.lines:
        points, codes = [line[0]], [Curve.MOVETO]
        for (x, y), (next_x, next_y) in pairwise(line):
            half = (y + next_y) / 2
            points += [(x, half), (next_x, half), (next_x, next_y)]
            codes += [Curve.CURVE4] * 3
        axes.add_patch(PathPatch(Curve(points, codes), fill=False, edgecolor="#78716c", linewidth=1.2 * scale))
    style: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "parse_math": False,
        "fontfamily": "DejaVu Sans",
        "color": "black",
    }
    for placed in layout.boxes:
        corner = (placed.x - placed.width / 2, placed.y)
        shape = FancyBboxPatch(
            corner, placed.width, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=5", linewidth=scale,
            facecolor=colour_of(placed.box.kind), edgecolor="#57534e",
        )  # fmt: skip
        axes.add_patch(shape)
        middle, size = placed.y + BOX_HEIGHT / 2, 10.5 * _POINTS * scale
        title, detail = (visible(text)[:_LONGEST] for text in (placed.box.title, placed.box.detail))
        axes.text(placed.x, middle - (8 if detail else 0), title, size=size, weight="bold", **style)
        if detail:
            axes.text(placed.x, middle + 8, detail, size=size, **style)
    figure.savefig(path, dpi=_DPI, format="png")
