"""Columns of what a network costs, as its import counted it: the same in each cell of a network and a batch."""

from __future__ import annotations

from typing import Any

from sweep.analysis.rows.column import CellFacts, Column, ColumnType
from sweep.planning.results.compiling import ImportResult

__all__ = ["COMPLEXITY_COLUMNS"]


def _column(name: str, kind: ColumnType, meaning: str, unit: str = "") -> Column:
    def value(facts: CellFacts) -> Any:
        imported = facts.outcome.result(ImportResult)
        return (imported.complexity or {}).get(name) if imported is not None else None

    return Column(name, kind, meaning, unit, value, f"size/{name}")


COMPLEXITY_COLUMNS = (
    _column("parameters", "int64", "numbers that the network learned"),
    _column("nnz", "int64", "weights of its convolutions and matrix products that are not zero"),
    _column("sparsity", "float64", "share of these weights that are zero"),
    _column("macs_dense", "int64", "multiply-accumulates of one call; FLOPs are twice as many"),
    _column("macs_sparse", "int64", "the same without those whose weight is zero"),
    _column("peak_activation_bytes", "int64", "most memory that values need at once, weights left out", "bytes"),
)
