"""The layers of a network under its device's roof, as a table for terminal and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_bytes, as_ms, as_percent, plural, significant

__all__ = ["TITLES", "layer_cells", "roof_words", "roofline_lines"]

Row = Mapping[str, Any]

TITLES = ("layer", "times", "time (ms)", "of all", "GFLOP/s", "ops a byte", "of roof", "bound by", "weights")


def roof_words(row: Row) -> str:
    """`here, 1 thread: at most 61.2 GFLOP/s (60.1 to 61.9); 11.3 GB/s from memory (11 to 11.4), 98 GB/s from 25 kB`."""
    roof = row["roof"]
    *caches, memory = roof["streams"]
    told = [f"{_rate(memory, 'GB/s')} from memory"]
    told += [f"{_rate(cache, 'GB/s')} from {as_bytes(cache['footprint_bytes'])}" for cache in reversed(caches)]
    most = _rate(roof["operations"], "GFLOP/s")
    return f"{roof['device']}, {plural(roof['threads'], 'thread')}: at most {most}; {', '.join(told)}"


def layer_cells(layer: Row) -> list[str]:
    """A line of the table."""
    if layer["share_of_roof"] is None:
        return [layer["layer"], str(layer["count"]), *["-"] * 5, layer["error"] or "-", as_bytes(layer["weight_bytes"])]
    return [
        layer["layer"],
        str(layer["count"]),
        as_ms(layer["time_ms"]),
        as_percent(layer["time_share"]),
        significant(layer["gflops"]),
        significant(layer["intensity"]) if layer["intensity"] is not None else "-",
        as_percent(layer["share_of_roof"]),
        layer["bound_by"],
        as_bytes(layer["weight_bytes"]),
    ]


def roofline_lines(row: Row, most: int) -> list[str]:
    """The roof, and the layers that take longest, in columns."""
    shown = row["layers"][:most]
    cells = [TITLES, *map(layer_cells, shown)]
    left_out = len(row["layers"]) - len(shown)
    more = [f"... and {plural(left_out, 'layer')} that take less"] if left_out else []
    return [roof_words(row), *_columns(cells), *more]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rate(rate: Row, unit: str) -> str:
    value, low, high = (significant(rate[name] / 1e9) for name in ("per_s", "per_s_low", "per_s_high"))
    return f"{value} {unit} ({low} to {high})"
