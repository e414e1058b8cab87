"""Cells that are advised which layers to keep in float32, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.results import Results, derive
from sweep.planning.results.layer_advice_results import AdvisedStep, LayerAdvice
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.quantising import LayerError, LayerErrorsResult, QuantiseResult
from sweep.study.spec import Cell

STEPS = (
    AdvisedStep((), 0.010),
    AdvisedStep(("b",), 0.006, added_s=1e-5),
    AdvisedStep(("b", "a"), 0.004, added_s=3e-5),
)
ADVICE = LayerAdvice(
    ranked=("b", "a"),
    steps=STEPS,
    float_s={"a": 5e-5, "b": 4e-5},
    quantised_s={"a": 3e-5, "b": 3e-5},
    shares={"a": ["sum"]},
    dir="artifacts/layer_advice/1",
)
ERRORS = LayerErrorsResult(
    layers=(LayerError("a", "Conv"), LayerError("b", "Conv", place=1), LayerError("sum", "Add", place=2)),
    ranked=("a", "b"),
    dir="artifacts/layer_errors/1",
)


def advised_cell(
    precision: str,
    seconds: float,
    kept: Sequence[str] = (),
    runtime: str = "tvm",
    layout: str = "NCHW",
    advice: LayerAdvice = ADVICE,
) -> CellOutcome:
    """A measured cell that is judged, or that keeps layers by the advice."""
    stages = {
        "layer_errors": ERRORS,
        "layer_advice": advice,
        "quantise": QuantiseResult(kept_layers=tuple(kept)),
        "measure": Measurement((seconds,) * 6, number=1),
    }
    return CellOutcome(Cell("net", "native", "none", 3, layout, precision, 1, "here", runtime), "done", stages=stages)


def results_of(cells: Sequence[CellOutcome]) -> Results:
    """Of a sweep of these cells."""
    return derive(SweepOutcome("s", "", cells, 0.0, 1.0, False, {}, {}, Path("s")))
