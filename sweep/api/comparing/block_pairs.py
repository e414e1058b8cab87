"""Measures two sides a block each, right after each other, as `--measure-more` does of cells and of sweeps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sweep.api.session.single_stage import perform_stage
from sweep.errors import SweepError
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stages.measure import measure_options
from sweep.running.contract import Engine
from sweep.running.policy import GiveUp, RetryPolicy
from sweep.study.axis import NOTHING_DESCRIBED, DescribedValues
from sweep.study.cluster.cluster import Device
from sweep.study.spec import Cell, Measure

__all__ = ["REPEATS", "MeasuredSide", "take_pair"]

REPEATS = 3
"""A block's: their median forgives one that was interrupted. More blocks tell more than more repeats."""
_KEPT = ("run_secs", "warmup_secs", "number", "reference_before_s", "reference_after_s", "tainted", "conditions")


@dataclass(frozen=True, slots=True)
class MeasuredSide:
    """One of two sides, with everything that measuring it needs."""

    device: Device
    options: Mapping[str, Any]
    inputs: Mapping[str, StageResult]

    is_flushed: bool
    """Whether caches are emptied before each repeat."""

    @classmethod
    def of(
        cls,
        cell: Cell,
        device: Device,
        inputs: Mapping[str, StageResult],
        conditions: Mapping[str, Any],
        number: int | None = None,
        described: DescribedValues = NOTHING_DESCRIBED,
    ) -> MeasuredSide:
        """A cell, measured as it was before. conditions: of that measurement; number: its calls a repeat. described:
        what its study says of values by writing them.
        """
        is_flushed = bool(conditions.get("cache_flush_bytes"))
        measure = Measure(
            repeat=REPEATS,
            max_repeat=REPEATS,
            rounds=1,
            relative_interval=0.0,
            number=number,
            cache_flush=is_flushed,
        )
        options = measure_options(cell.runtime, cell.precision, device, measure.options, described)
        return cls(device, options, inputs, is_flushed)


def take_pair(engine: Engine, sides: Sequence[MeasuredSide], taken: int) -> list[dict[str, Any]]:
    """A block of each of two sides, in their order, as JSON has it. `taken`: pairs that there are already.

    Raises SweepError where a measurement failed as often as a run would try it.
    """
    # Every other pair the other way round: what changes steadily favours neither
    order = (0, 1) if taken % 2 == 0 else (1, 0)
    blocks = {index: _block(engine, sides[index]).to_json() for index in order}
    return [{name: blocks[index][name] for name in _KEPT} for index in (0, 1)]


def _block(engine: Engine, side: MeasuredSide) -> Measurement:
    for failures in count(1):  # what a run would try again is tried again
        try:
            return perform_stage(engine, "measure", Measurement, side.options, side.inputs, side.device)
        except SweepError as error:
            decision = RetryPolicy().decide(type(error).__name__, failures)
            if isinstance(decision, GiveUp):
                raise
            time.sleep(decision.delay_s)
    raise AssertionError("counting ends nowhere")
