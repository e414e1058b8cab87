"""Numbers that stand for no time in the logs of other tools: AutoTVM writes 1e9 s for a failure, Ansor and MetaSchedule
1e10 s.

In tables and records of our own no number does; whatever reads such a log asks this module.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

__all__ = ["NO_TIME_S", "is_time", "median_s"]

NO_TIME_S = 1e9
"""From here up it is no time."""


def is_time(seconds: float) -> bool:
    """Whether a logged number is a time. Not NaN, not 0, which a clock that is too coarse gives."""
    return 0 < seconds < NO_TIME_S


def median_s(run_secs: Sequence[float] | None) -> float | None:
    """Median of the repeats in a log; None where there are none, or one of them is no time."""
    values = run_secs or ()
    return float(statistics.median(values)) if values and all(map(is_time, values)) else None
