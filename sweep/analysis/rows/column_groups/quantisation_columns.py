"""Columns of cells whose network was quantised here: what its ranges were observed on, and how much is integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep.analysis.rows.column import CellFacts, Column, Detail
from sweep.planning.results.quantising import QuantiseResult

__all__ = ["MADE_UP", "QUANTISATION_COLUMNS"]

MADE_UP = "random"
"""What a calibration on no data set is called."""


def _of(tell: Callable[[QuantiseResult], Any]) -> Callable[[CellFacts], Any]:
    def value(facts: CellFacts) -> Any:
        quantised = facts.outcome.result(QuantiseResult)
        return None if quantised is None else tell(quantised)

    return value


def _calibrated_on(quantised: QuantiseResult) -> str:
    what = "made-up samples" if quantised.source == MADE_UP else f"samples of {quantised.source}"
    return f"{quantised.samples} {what}"


QUANTISATION_COLUMNS = (
    Column(
        "calibrated_on",
        "text",
        "samples that the ranges of a quantised network were observed on; made-up ones are a poor calibration",
        value=_of(_calibrated_on),
        detail=Detail("calibrated on", about="what the ranges of the quantised network were observed on", rank=78),
    ),
    Column(
        "quantised_operators",
        "int32",
        "operators of a quantised network that take and give integers",
        value=_of(lambda quantised: quantised.quantised_nodes),
    ),
    Column(
        "float_operators",
        "int32",
        "operators that could be quantised and stay in float32",
        value=_of(lambda quantised: quantised.float_nodes),
    ),
)
