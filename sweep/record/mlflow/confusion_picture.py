"""The confusion matrix of a cell as a picture among its run's artifacts, which MLflow's UI shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from sweep.plain_text import visible

__all__ = ["CONFUSION_FILE", "confusion_svg"]

CONFUSION_FILE = "confusion.svg"
_MOST_CLASSES = 40
"""With more, no number can be read; `cell.json` has them all."""
_MOST_LETTERS = 12
_SIDE, _EDGE = 34, 90


def confusion_svg(evaluation: Mapping[str, Any]) -> str | None:
    """SVG of what an evaluate stage reports: rows are the truth, columns what it was taken for; None without one."""
    classes, counts = int(evaluation.get("classes") or 0), evaluation.get("confusion") or ()
    if not counts or not 0 < classes <= _MOST_CLASSES:
        return None
    names = [escape(visible(str(name))[:_MOST_LETTERS]) for name in evaluation.get("class_names") or ()]
    names += [str(number) for number in range(len(names), classes)]
    totals = [sum(count for truth, _, count in counts if truth == one) for one in range(classes)]
    parts = []
    for truth, guess, count in counts:
        x, y = _EDGE + guess * _SIDE, _EDGE + truth * _SIDE
        colour = "#0072B2" if truth == guess else "#E69F00"
        share = count / totals[truth]
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_SIDE - 1}" height="{_SIDE - 1}" fill="{colour}" '
            f'fill-opacity="{0.15 + 0.45 * share:.2f}"/>'
            f'<text x="{x + _SIDE / 2}" y="{y + _SIDE / 2 + 4}" text-anchor="middle">{count}</text>'
        )
    for one, name in enumerate(names[:classes]):
        at = _EDGE + one * _SIDE + _SIDE / 2
        parts.append(f'<text x="{_EDGE - 8}" y="{at + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<text x="{at}" y="{_EDGE - 8}" text-anchor="middle">{name}</text>')
    size = _EDGE + classes * _SIDE + 10
    title = f"rows: what a sample is; columns: what it is taken for. {evaluation.get('correct')} of "
    title += f"{evaluation.get('samples')} right"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="10" y="20">{title}</text>{"".join(parts)}</svg>'
    )
