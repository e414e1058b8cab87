"""What takes other cells to know: how a latency stands to the untuned network's and to ONNX Runtime's.

Baselines may come in at any time, a cell's ratios are told by those that are in.
"""

from __future__ import annotations

from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results import BuildResult, TuneResult
from sweep.study.axes import axis_names, compared_within
from sweep.study.spec import Cell

__all__ = ["REFERENCE", "Ratios"]

REFERENCE = "onnxruntime"
"""Value of the `runtime` axis of a reference cell."""


class Ratios:
    """Medians that others are compared with, by what they are compared with."""

    def __init__(self) -> None:
        self._untuned: dict[tuple[Any, ...], float] = {}
        self._references: dict[tuple[Any, ...], float] = {}

    def note(self, outcome: CellOutcome, latency_ms: float) -> None:
        """Take a measured cell for a baseline, where it is one. latency_ms: its median."""
        if outcome.status != "done":  # nothing is compared with a disturbed measurement
            return
        # By what was done and not by the tuner's label, which a study may choose
        if outcome.result(BuildResult) and not outcome.result(TuneResult):
            self._untuned[_untuned_key(outcome.cell)] = latency_ms
        if outcome.cell.runtime == REFERENCE:
            self._references[_reference_key(outcome.cell)] = latency_ms

    def of(self, cell: Cell, latency_ms: float) -> dict[str, float]:
        """`speedup_vs_untuned` (more is faster) and `ratio_to_onnxruntime` (less is), where their baseline is in."""
        found = {}
        if cell.runtime != REFERENCE and (untuned_ms := self._untuned.get(_untuned_key(cell))):
            found["speedup_vs_untuned"] = untuned_ms / latency_ms
        if reference_ms := self._references.get(_reference_key(cell)):
            found["ratio_to_onnxruntime"] = latency_ms / reference_ms
        return found


def _untuned_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in axis_names() if axis != "tuner"), *cell.unknown)


def _reference_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in compared_within()), *cell.unknown)
