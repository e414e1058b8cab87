"""Columns of cells whose network was quantised here: what its ranges were observed on, and how much is integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep.analysis.rows.advice_rows import advice_of, advised_step
from sweep.analysis.rows.column import CellFacts, Column, Detail
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.layer_advice_results import AdvisedStep
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
    saved = f"the saved table {quantised.saved_table[:8]}" if quantised.saved_table else ""
    if not quantised.samples:  # a table that somebody has written
        return saved
    what = "made-up samples" if quantised.source == MADE_UP else f"samples of {quantised.source or 'unknown origin'}"
    return f"{quantised.samples} {what}" + (f", by {saved}" if saved else "")


def _advised(tell: Callable[[AdvisedStep], Any]) -> Callable[[CellFacts], Any]:
    def value(facts: CellFacts) -> Any:
        advice = advice_of(facts.outcome)
        step = None if advice is None else advised_step(advice)
        return None if step is None else tell(step)

    return value


def _added_ms(step: AdvisedStep) -> float | None:
    return None if step.added_s is None else step.added_s * 1e3


QUANTISATION_COLUMNS = (
    Column(
        "calibrated_on",
        "text",
        "samples that the ranges of a quantised network were observed on; made-up ones are a poor calibration",
        value=_of(_calibrated_on),
        detail=Detail("calibrated on", about="what the ranges of the quantised network were observed on", rank=73),
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
    Column(
        "beyond_float16",
        "text",
        "where the values of a network that is compiled to float16 exceed its range; null where they do not",
        value=lambda facts: (facts.outcome.result(LowerResult) or LowerResult()).range_words,
        detail=Detail("beyond float16", rank=71),
    ),
    Column(
        "kept_layers",
        "text",
        "layers with weights that a quantised network keeps in float32",
        value=_of(lambda quantised: ", ".join(quantised.kept_layers) or None),
        detail=Detail("kept in float32", about="layers with weights that stay in float32", rank=74),
    ),
    Column(
        "advised_layers",
        "text",
        "layers that a quantised network should keep in float32, by what they gain for what they cost",
        value=_advised(lambda step: ", ".join(step.kept)),
    ),
    Column(
        "advised_cosine_distance",
        "float64",
        "1 less the cosine between the network's output and the float network's with these in float32",
        value=_advised(lambda step: step.cosine_distance),
        metric="advice/cosine_distance",
    ),
    Column(
        "advised_added_ms",
        "float64",
        "what these take longer in float32, by their kernels on the device",
        "ms",
        value=_advised(_added_ms),
        metric="advice/added_ms",
    ),
)
