"""Columns of the layout that a compiled network has in the end, whatever its cell asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.analysis.layout_lines import layout_facts_of, slow_operators
from sweep.analysis.rows.column import CellFacts, Column, Detail

__all__ = ["LAYOUT_COLUMNS"]


def _of_lowering(read: Callable[[Mapping[str, Any]], Any]) -> Callable[[CellFacts], Any]:
    def value(facts: CellFacts) -> Any:
        told = layout_facts_of(facts.outcome)
        return read(told) if told else None

    return value


LAYOUT_COLUMNS = (
    Column(
        "convolution_layouts",
        "text",
        "how many convolutions have each layout; null where there is none",
        value=_of_lowering(lambda told: ", ".join(f"{name} {count}" for name, count in told["convolutions"].items())),
        detail=Detail("layouts", rank=78),
    ),
    Column(
        "layout_fallbacks",
        "int64",
        "convolutions that are in another layout than was asked for",
        value=_of_lowering(lambda told: len(told["fallbacks"])),
        metric="layout/fallbacks",
    ),
    Column(
        "layout_transpositions",
        "int64",
        "transpositions between layouts that are left, of values that flow",
        value=_of_lowering(lambda told: len(told["transpositions"])),
        metric="layout/transpositions",
    ),
    Column(
        "slow_layout_operators",
        "text",
        "the operators of both inside the network, each kind once",
        value=lambda facts: slow_operators(facts.outcome),
        detail=Detail("slow layout", rank=79),
    ),
)
