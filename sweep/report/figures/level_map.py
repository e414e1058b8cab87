"""The grid as a map: opt level against tuner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.analysis.rows.runtime_rows import is_compiled_row
from sweep.report.figures.figure import HEAT, NO_VALUE, Figure, Row, by_device, known_ms, known_text, plain_layout
from sweep.report.table_columns import tuner_name

__all__ = ["heat_maps"]


def heat_maps(model: str, rows: Sequence[Row]) -> Iterator[Figure]:
    """A map a device, where there is more than one place on it."""
    compiled = [row for row in rows if is_compiled_row(row)]
    levels = sorted({row["opt_level"] for row in compiled})
    tuners = list(dict.fromkeys(tuner_name(row) for row in sorted(compiled, key=lambda row: row["tuner"] != "none")))
    if len(levels) < 2 and len(tuners) < 2:
        return
    for device, of_device in by_device(compiled):
        best: dict[tuple[str, int], Row] = {}
        for row in reversed(of_device):  # ranked: the fastest is written last and stays
            best[tuner_name(row), row["opt_level"]] = row
        medians = [[_median(best.get((tuner, level))) for level in levels] for tuner in tuners]
        known = [value for line in medians for value in line if value is not None]
        if not known:
            continue
        texts = [[_heat_text(best.get((tuner, level))) for level in levels] for tuner in tuners]
        heat = {
            "type": "heatmap",
            "x": [f"O{level}" for level in levels],
            "y": tuners,
            # Ratios span orders of magnitude, and the interest is in the fast end.
            "z": [[None if v is None else min(v / min(known), 10.0) for v in line] for line in medians],
            "text": texts,
            "texttemplate": "%{text}",
            "textfont": {"size": 13, "color": "#1c2430"},
            "hovertemplate": "%{y} at %{x}: %{text}<extra></extra>",
            "colorscale": HEAT,
            "zmin": 1,
            "zmax": min(10.0, max(2.0, max(known) / min(known))),
            "showscale": False,
            "xgap": 2,
            "ygap": 2,
        }
        layout = plain_layout(len(tuners), x="opt level", left=True)
        layout["xaxis"] |= {"type": "category", "showgrid": False}
        layout["yaxis"] |= {"type": "category", "showgrid": False}
        layout["plot_bgcolor"] = NO_VALUE
        about = "Median in ms: the bluer, the nearer to the best of this map. Where other axes vary, the best of them."
        if any("≤" in text for line in texts for text in line):
            about += " Of what something slowed, ≤ is the most that it takes."
        yield Figure(
            "Opt level x tuner",
            f"{model} on {device}",
            about,
            90 + 44 * len(tuners),
            [heat],
            layout,
            model=model,
            device=device,
        )


def _median(row: Row | None) -> float | None:
    return None if row is None or row["latency_ms_median"] is None else known_ms(row)


def _heat_text(row: Row | None) -> str:
    if row is None:
        return ""
    return str(row["status"]) if row["latency_ms_median"] is None else known_text(row)
