"""Ratios of a cell's latency to other cells': to the untuned network's, and to those of other runtimes.

What a cell is compared with may come in at any time: its ratios are those to what is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.bounds import BoundedRatio, Reading, leading
from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.study.axes import axis_names, compared_within
from sweep.study.runtimes import USUAL_BASELINE
from sweep.study.spec import Cell

__all__ = ["Ratios"]

RATIO_TO_USUAL = f"ratio_to_{USUAL_BASELINE}"
"""Filled whatever the baseline, and of medians also where something disturbed the cell: notebooks of earlier versions
read it."""


class Ratios:
    """Readings that others are compared with, by what they are compared with."""

    def __init__(self, baseline: str | None, baselines: Mapping[str, str] | None = None) -> None:
        """`baseline`: the runtime that `ratio_to_baseline` is against; None: there is no such ratio. `baselines`: by
        model, where it is another.
        """
        self._baseline, self._baselines = baseline, baselines or {}
        self._untuned: dict[tuple[Any, ...], Reading] = {}
        self._runtimes: dict[tuple[Any, ...], dict[str, tuple[str | None, Reading]]] = {}
        """Precision and reading of each of a runtime's cells in a group, by the cell's id."""

    def note(self, outcome: CellOutcome, reading: Reading) -> None:
        """Take in a measured cell that others may be compared with."""
        if reading.bound is None:
            return
        # By what was done and not by the tuner's label, which a study may choose
        if outcome.result(BuildResult) and not outcome.result(TuneResult):
            self._untuned[_untuned_key(outcome.cell)] = reading
        key = outcome.cell.runtime, *_group_key(outcome.cell)
        self._runtimes.setdefault(key, {})[outcome.cell.id] = (outcome.axes["precision"], reading)

    def of(self, cell: Cell, reading: Reading, precision: str | None = None) -> dict[str, Any]:
        """Columns of a cell: `speedup_vs_untuned` (more is faster) and the ratios to runtimes (less is), each with its
        bound, where their other side is in. precision: that the cell computes in, where its runtime chose it.
        """
        columns: dict[str, Any] = {}
        untuned = self._untuned.get(_untuned_key(cell)) if cell.is_compiled else None
        if untuned is not None and (speedup := untuned.over(reading)) is not None:
            columns |= {"speedup_vs_untuned": speedup.value, "speedup_bound": speedup.bound}
        baseline = self._baselines.get(cell.model, self._baseline)
        if baseline is not None and (ratio := self.against(baseline, cell, reading)) is not None:
            columns |= {"ratio_to_baseline": ratio.value, "ratio_bound": ratio.bound}
        precision = cell.precision if precision is None else precision
        if baseline is not None and (alike := self.against(baseline, cell, reading, precision)) is not None:
            columns |= {"ratio_to_baseline_same_precision": alike.value, "ratio_same_precision_bound": alike.bound}
        usual = [other.median_ms for other in self._others(USUAL_BASELINE, cell) if other.is_exact]
        if usual and reading.bound is not None:
            columns[RATIO_TO_USUAL] = reading.median_ms / min(usual)
        return columns

    def against(self, runtime: str, cell: Cell, reading: Reading, precision: str | None = None) -> BoundedRatio | None:
        """This latency over that of a runtime's fastest cell for the same model, batch and device: of all, or of those
        in one precision.
        """
        others = self._others(runtime, cell, precision)
        fastest = leading(others)
        return None if fastest is None else reading.over(others[fastest])

    def _others(self, runtime: str, cell: Cell, precision: str | None = None) -> list[Reading]:
        known = self._runtimes.get((runtime, *_group_key(cell)), {}).values()
        return [reading for of, reading in known if precision is None or of == precision]


def _untuned_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in axis_names() if axis != "tuner"), *cell.unknown)


def _group_key(cell: Cell) -> tuple[Any, ...]:
    return (*(cell.value(axis) for axis in compared_within()), *cell.unknown)
