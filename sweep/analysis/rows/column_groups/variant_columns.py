"""Columns of what a network takes, and of how a variant was made of another model: empty for models that are none."""

from __future__ import annotations

from typing import Any

from sweep.analysis.rows.column import CellFacts, Column, ColumnType, Detail
from sweep.analysis.rows.training_rows import training_of
from sweep.planning.results.compiling import ImportResult

__all__ = ["VARIANT_COLUMNS"]


def _column(key: str, name: str, kind: ColumnType, meaning: str, rank: int | None = None) -> Column:
    def value(facts: CellFacts) -> Any:
        imported = facts.outcome.result(ImportResult)
        return (imported.variant or {}).get(key) if imported is not None else None

    return Column(name, kind, meaning, "", value, detail=None if rank is None else Detail(meaning, rank=rank))


def _accuracy(facts: CellFacts) -> float | None:
    trained = training_of(facts.outcome)
    return None if trained is None else trained.accuracy


def _shapes(facts: CellFacts) -> str | None:
    imported = facts.outcome.result(ImportResult)
    if imported is None or not imported.inputs:
        return None
    return ", ".join(f"{name} {'x'.join(map(str, one['shape']))}" for name, one in imported.inputs.items())


VARIANT_COLUMNS = (
    Column("input_shapes", "text", "name and shape of each input", value=_shapes),
    _column("of", "variant_of", "text", "model that this one was made of"),
    _column("step", "variant_step", "text", "prune, sparsify or train: how it was made"),
    _column("method", "variant_method", "text", "what decided which filters or weights went"),
    _column("level", "variant_level", "float64", "share that was to go: of the parameters, or of the weights"),
    _column("removed", "parameters_removed", "float64", "share of the parameters that went"),
    _column("filters", "filters", "int64", "filters left in the layers that could lose some"),
    Column(
        "training_accuracy",
        "float64",
        "share of the samples kept for it that the network had right as its training ended",
        value=_accuracy,
        metric="training/accuracy",
    ),
)
