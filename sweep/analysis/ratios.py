"""Ratios of a cell's latency to other cells': to the untuned network's, and to those of other runtimes.

What a cell is compared with may come in at any time: its ratios are those to what is in.
"""

from __future__ import annotations

from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results import BuildResult, TuneResult
from sweep.study.axes import axis_names, compared_within
from sweep.study.runtimes import USUAL_BASELINE
from sweep.study.spec import Cell

__all__ = ["RATIOS", "Ratios"]

RATIOS = ("speedup_vs_untuned", "ratio_to_baseline", f"ratio_to_{USUAL_BASELINE}")
"""Columns that take other cells to know. The last is filled whatever the baseline: notebooks of earlier versions read
it."""


class Ratios:
    """Medians that others are compared with, by what they are compared with."""

    def __init__(self, baseline: str | None) -> None:
        """`baseline`: the runtime that `ratio_to_baseline` is against; None: there is no such ratio."""
        self._baseline = baseline
        self._untuned: dict[tuple[Any, ...], float] = {}
        self._runtimes: dict[tuple[Any, ...], dict[str, float]] = {}
        """Median of each of a runtime's cells in a group, by the cell's id."""

    def note(self, outcome: CellOutcome, latency_ms: float) -> None:
        """Take in a measured cell that others may be compared with. latency_ms: its median."""
        if outcome.status != "done":  # nothing is compared with a disturbed measurement
            return
        # By what was done and not by the tuner's label, which a study may choose
        if outcome.result(BuildResult) and not outcome.result(TuneResult):
            self._untuned[_untuned_key(outcome.cell)] = latency_ms
        key = outcome.cell.runtime, *_group_key(outcome.cell)
        self._runtimes.setdefault(key, {})[outcome.cell.id] = latency_ms

    def of(self, cell: Cell, latency_ms: float) -> dict[str, float]:
        """`speedup_vs_untuned` (more is faster) and the ratios to runtimes (less is), where their other side is in."""
        untuned_ms = self._untuned.get(_untuned_key(cell)) if cell.is_compiled else None
        values = (
            None if untuned_ms is None else untuned_ms / latency_ms,
            None if self._baseline is None else self.against(self._baseline, cell, latency_ms),
            self.against(USUAL_BASELINE, cell, latency_ms),
        )
        return {name: value for name, value in zip(RATIOS, values, strict=True) if value is not None}

    def against(self, runtime: str, cell: Cell, latency_ms: float) -> float | None:
        """This latency over that of a runtime's fastest cell for the same model, batch and device."""
        others = self._runtimes.get((runtime, *_group_key(cell)))
        return latency_ms / min(others.values()) if others else None


def _untuned_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in axis_names() if axis != "tuner"), *cell.unknown)


def _group_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in compared_within()), *cell.unknown)
