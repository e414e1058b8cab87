"""Rows on the layers of quantised networks: how far each is from the float network's. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.quantising import KeptLayers, LayerErrorsResult

__all__ = ["layer_rows"]

_OF_MIX = ("cosine_distance", "snr_db", "max_abs_diff")

Row = dict[str, Any]


def layer_rows(outcomes: Iterable[CellOutcome]) -> list[Row]:
    """Of each network and precision once, in the order of the network."""
    rows: list[Row] = []
    for about, result in _compared(outcomes):
        ranks = {layer: rank for rank, layer in enumerate(result.ranked, start=1)}
        about = {**about, "samples": result.samples, "source": result.source}
        for layer in result.layers:
            rank = ranks.get(layer.layer)
            kept = result.steps[rank] if rank is not None and rank < len(result.steps) else KeptLayers()
            mixed = {f"kept_{name}": getattr(kept, name) for name in _OF_MIX}
            rows.append({**about, **layer.to_json(), "rank": rank, **mixed})
    return rows


def _compared(outcomes: Iterable[CellOutcome]) -> list[tuple[Row, LayerErrorsResult]]:
    """Each comparison once, though all targets, tuners and runtimes share it."""
    found: dict[tuple[Any, ...], tuple[Row, LayerErrorsResult]] = {}
    for outcome in outcomes:
        result = outcome.result(LayerErrorsResult)
        if result is not None and result.layers:
            about = {"model": outcome.cell.model, "batch": outcome.cell.batch, "precision": outcome.cell.precision}
            found.setdefault((result.dir, *about.values()), (about, result))
    return list(found.values())
