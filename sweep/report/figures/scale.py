"""Scales axes to their range: ticks on a logarithmic axis, and a unit of time that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bars_axis", "in_unit", "ticks_between"]

_ENOUGH = 3
_SPREAD = 10
_STEPS = ((1, 10), (1, 3, 10), (1, 2, 5, 10), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10))
"""Within a power of ten, the finer the later."""


def bars_axis(values: Sequence[float], ends: Sequence[float] = ()) -> Mapping[str, Any]:
    """Scale and range of an axis along which bars lie: logarithmic where they differ by more than 10, since the short
    ones could not be told apart. `ends`: of what reaches beyond the bars.
    """
    every = [*values, *ends]
    if max(values) > _SPREAD * min(values) and min(every) > 0:
        low, high = math.log10(min(every) / 1.6), math.log10(max(every) * 1.6)
        return {"type": "log", "dtick": "D2", "range": [low, high], "autorange": False}  # 1, 2 and 5
    return {"range": [0, max(values) * 1.15], "autorange": False}


def ticks_between(values: Sequence[float]) -> list[float]:
    """Round numbers for a logarithmic axis over `values`, in steps as fine as it takes to have three among them.

    Plotly's own can be a single one where the range is short.
    """
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for steps in _STEPS:
        ticks = sorted({float(f"{step * 10.0**power:.3g}") for power in powers for step in steps})
        if sum(low <= tick <= high for tick in ticks) >= _ENOUGH:
            return ticks
    return _even(low, high)


def _even(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 of some power of ten."""
    third = (high - low) / _ENOUGH
    if third == 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(third))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= third)
    return [float(f"{count * step:.6g}") for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def in_unit(longest_s: float) -> tuple[float, str]:
    """Seconds in the unit in which a time is read best, and its name: `(60.0, "minutes")`."""
    if longest_s < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if longest_s < 3 * 3600 else (3600.0, "hours")
