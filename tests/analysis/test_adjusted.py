"""Latencies on the usual machine, from the measurements of a sweep."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.analysis.adjusted import TOGETHER, adjusted
from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.measurement import MeasuredBlock, Measurement
from tests.api.made_sweep import MadeCell

KERNEL_S = 1e-3
ROUNDS = 5


def measured(number: int, state: float, draw: np.random.Generator) -> CellOutcome:
    """A cell of 2 ms that takes turns with those of its eight, while the machine takes `state` times as long."""
    blocks = []
    for turn in range(ROUNDS):
        around = (KERNEL_S * state,)
        t = 1e4 * (number // TOGETHER) + 100.0 * turn + number % TOGETHER
        run_secs = tuple(2e-3 * state * np.exp(draw.normal(0, 0.005, 3)))
        blocks.append(
            MeasuredBlock(
                turn, run_secs, reference_before_s=around, reference_after_s=around, conditions={"at_before": t}
            )
        )
    run_secs = tuple(seconds for block in blocks for seconds in block.run_secs)
    result = Measurement(run_secs=run_secs, blocks=tuple(blocks))
    return CellOutcome(MadeCell(batch=number + 1).cell, "done", stages={"measure": result})


def test_cells_that_were_measured_while_the_machine_was_slow_are_not_slower() -> None:
    """Eight take turns at a time, and the whole turn of the second eight was slow."""
    draw = np.random.default_rng(0)
    cells = [measured(number, 1.0 if number < TOGETHER else 1.3, draw) for number in range(2 * TOGETHER)]

    found = adjusted(cells)

    assert [found[each.cell.id].latency_s for each in cells] == pytest.approx([2e-3] * len(cells), rel=0.02)
