"""The pictures of a report, as plain Plotly figures (data and layout); the page draws them."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.analysis.rows.results import Results
from sweep.report.figures.confusion import accuracy_beside_latency, confusion_maps
from sweep.report.figures.figure import Figure, Row, tuner_colours
from sweep.report.figures.latency import distributions, latency_bars
from sweep.report.figures.level_map import heat_maps
from sweep.report.figures.predictions import prediction_figures
from sweep.report.figures.rooflines import rooflines
from sweep.report.figures.speedup import speedup_bars
from sweep.report.figures.time_shares import pool_times, stage_times
from sweep.report.figures.trade_offs import pareto_fronts
from sweep.report.figures.training import training_figures
from sweep.report.figures.tuning_curves import tuning_curves
from sweep.report.figures.variants import variant_figures
from sweep.report.table_columns import ranked

__all__ = ["Figure", "figures"]


def figures(results: Results) -> list[Figure]:
    """All pictures there is data for, model by model."""
    rows = ranked(results.cells)
    colours = tuner_colours(results.cells)
    by_model = _grouped(rows, "model")
    repeats = _grouped((row for row in results.measurements if row["kind"] == "repeat"), "cell_id")
    curves = _grouped(results.curves, "cell_id")
    found = list(speedup_bars(rows, colours))
    for model, of_model in by_model.items():
        found += latency_bars(model, of_model, colours)
        found += heat_maps(model, of_model)
        found += pareto_fronts(model, of_model, colours)
        found += accuracy_beside_latency(model, of_model, colours)
        found += confusion_maps(model, of_model)
        found += distributions(model, of_model, repeats)
        found += tuning_curves(model, of_model, curves, colours)
    found += variant_figures(rows)
    found += prediction_figures(rows)
    found += training_figures(results.summary.training)
    found += rooflines(results.summary.rooflines)
    return [*found, *stage_times(results.summary.stage_seconds), *pool_times(results.summary.tuning)]


def _grouped(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
