"""The figures by which candidates are timed, of tuners and overlays together, and when one call is enough."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "LATE_S",
    "OVERLAY_SLOW",
    "OVERLAY_TIMEOUT_S",
    "TUNER_SLOW",
    "TUNER_TIMEOUT_S",
    "TURNS",
    "Timing",
    "slow_from_s",
]

TUNER_TIMEOUT_S = 10.0
"""A tuner's candidate that takes longer is of no use to it, and there are hundreds more."""
OVERLAY_TIMEOUT_S = 30.0
"""An overlay wants a time of each candidate, also of one that was found on another device and is slow on this one."""

TURNS = 10
"""Rounds of a comparison, in each of which every candidate has one mean. The winner is by the median of these, and a
median's 95 % interval by ranks takes six values at least."""

TUNER_SLOW = 1.4
"""Times the best: the search learns enough from one call of a candidate that is slower. Only those within 1.25 times
the best are measured again before one is chosen, and a single call of it may be late."""
OVERLAY_SLOW = 3.0
"""Times the device's best: the loss of a candidate counts in the sum over the devices, so that up to here its time is
needed as well as the others'; beyond, it loses whatever its exact time is."""
LATE_S = 50e-6
"""By so much may a single call be late whatever it computes, which is the whole time of a small kernel."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How a candidate is timed; names and meanings are those of TVM's `time_evaluator`."""

    number: int = 1
    repeat: int = 3
    min_repeat_ms: int = 10
    timeout_s: float = TUNER_TIMEOUT_S
    """For one candidate."""

    def alone(self, slow_s: float | None) -> dict[str, Any]:
        """Options of one candidate's measurement. `slow_s`: one call is all for a candidate that takes longer."""
        return {**asdict(self), "slow_s": slow_s}

    def in_turns(self, candidates: int) -> dict[str, Any]:
        """Options of a comparison of so many candidates: one mean of each in every round."""
        once = {"number": 1, "repeat": 1, "min_repeat_ms": self.min_repeat_ms}
        return {**once, "rounds": TURNS, "timeout_s": self.timeout_s * candidates}


def slow_from_s(best_s: float, times_best: float) -> float | None:
    """From which time on one call of a candidate is enough; None (never) where there is no best time yet."""
    return times_best * best_s + LATE_S if math.isfinite(best_s) else None
