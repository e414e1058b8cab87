"""A layout as an SVG file. Names come from a model's file, so all of them are escaped."""

from __future__ import annotations

from html import escape

from sweep.inspection.drawing.colours import colour_of
from sweep.inspection.drawing.layered_layout import BOX_HEIGHT, Layout, PlacedBox
from sweep.plain_text import visible

__all__ = ["svg_of"]

_LONGEST = 64


def svg_of(layout: Layout, title: str) -> str:
    """The picture, with a title for readers that do not see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" height="{layout.height:.0f}" '
        f'viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" role="img" font-family="sans-serif" font-size="11">'
    )
    parts = [head, f"<title>{_text(title)}</title>", '<rect width="100%" height="100%" fill="#ffffff"/>']
    parts += [f'<path d="{_path(line)}" fill="none" stroke="#78716c" stroke-width="1.2"/>' for line in layout.lines]
    parts += [_box(placed) for placed in layout.boxes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(placed: PlacedBox) -> str:
    left, box = placed.x - placed.width / 2, placed.box
    middle = placed.y + BOX_HEIGHT / 2
    size = f'width="{placed.width:.1f}" height="{BOX_HEIGHT:.0f}"'
    colours = f'fill="{colour_of(box.kind)}" stroke="#57534e"'
    up = middle - 4 if box.detail else middle + 4
    bold = f'<text x="{placed.x:.1f}" y="{up:.1f}" text-anchor="middle" font-weight="bold">'
    lines = [
        f'<rect x="{left:.1f}" y="{placed.y:.1f}" {size} rx="5" {colours}/>',
        f"{bold}{_text(box.title)}</text>",
    ]
    if box.detail:
        lines.append(f'<text x="{placed.x:.1f}" y="{middle + 11:.1f}" text-anchor="middle">{_text(box.detail)}</text>')
    return "\n".join(lines)


def _path(line: tuple[tuple[float, float], ...]) -> str:
    """Straight within a layer, bent between layers."""
    (x, y), *rest = line
    parts = [f"M{x:.1f},{y:.1f}"]
    for next_x, next_y in rest:
        half = (y + next_y) / 2
        parts.append(f"C{x:.1f},{half:.1f} {next_x:.1f},{half:.1f} {next_x:.1f},{next_y:.1f}")
        x, y = next_x, next_y
    return " ".join(parts)


def _text(text: str) -> str:
    shown = visible(text)
    return escape(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…")
