"""The pictures of a report, as plain Plotly figures (data and layout); the page draws them."""

from __future__ import annotations

from sweep.analysis.results import Results
from sweep.report.columns import ranked
from sweep.report.figures.figure import Figure
from sweep.report.figures.grid import heat_maps
from sweep.report.figures.latency import distributions, latency_bars
from sweep.report.figures.tuning import stage_times, tuning_curves

__all__ = ["Figure", "figures"]


def figures(results: Results) -> list[Figure]:
    """All pictures there is data for, those of one section together."""
    rows = ranked(results.cells)
    by_model = {
        model: [row for row in rows if row["model"] == model] for model in dict.fromkeys(r["model"] for r in rows)
    }
    found: list[Figure] = []
    for model, of_model in by_model.items():
        found += latency_bars(model, of_model)
        found += heat_maps(model, of_model)
        found += distributions(model, of_model, results.measurements)
        found += tuning_curves(model, of_model, results.curves)
    return [*found, *stage_times(results.summary.stage_seconds)]
