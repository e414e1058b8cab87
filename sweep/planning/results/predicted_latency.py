"""A latency that was predicted, not measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.planning.results.json_record import JsonRecord

__all__ = ["PredictedLatency"]


@dataclass(frozen=True, slots=True)
class PredictedLatency(JsonRecord):
    """Of a cell that a run was to skip, when it was to."""

    low_s: float = 0.0
    """The cell takes less than this with 1 %."""
    high_s: float = 0.0
    """The cell takes more than this with 1 %."""
    best_s: float = 0.0
    """The upper end of the fastest measured cell that it competes with."""
    is_audited: bool = False
    """Whether it was measured all the same."""

    @property
    def typical_s(self) -> float:
        """The middle of the interval, on a logarithmic scale."""
        return math.sqrt(self.low_s * self.high_s)
