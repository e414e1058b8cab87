"""Strategies of quantisation: which scale and zero point stand for a range. Pure.

| strategy | numbers | scale | zero point |
|---|---|---|---|
| minmax | uint8 | (max - min) / 255, of a range that has zero in it | where zero falls |
| symmetry_max | int8 | 2 max / 255 of weights, max / 127 of activations; max of absolute values | 0 |
| scale_shift | int8 | the least power of two that is not below max / 127 | 0 |
| null | float32 | nothing is quantised | |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sweep.toolchain.quantisation.thresholds import (
    PERCENTILE,
    Observed,
    kl_threshold,
    mse_threshold,
    percentile_threshold,
)

__all__ = ["NULL", "Steps", "activation_steps", "is_symmetric", "steps_of", "weight_steps"]

NULL = "null"

_Floats = npt.NDArray[np.float64]

_LEAST_SHARE = 2.0**-16
"""Of a tensor's range that a channel's has at least: the bias is held in steps of it, and has 31 bits."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the integers of a tensor stand for: `(q - zero_point) * scale`."""

    scale: float
    zero_point: int
    dtype: str
    """int8 or uint8."""

    def rounded(self, values: _Floats) -> _Floats:
        """Values as its integers have them."""
        limits = np.iinfo(self.dtype)
        q = np.clip(np.round(values / self.scale) + self.zero_point, limits.min, limits.max)
        return np.asarray((q - self.zero_point) * self.scale)


def is_symmetric(strategy: str) -> bool:
    """Whether zero is the integer 0 of every tensor."""
    return strategy != "minmax"


def steps_of(low: float, high: float, strategy: str, *, is_weight: bool) -> Steps:
    """Of a range."""
    return _STRATEGIES[strategy](min(low, 0.0), max(high, 0.0), is_weight)


def _minmax(low: float, high: float, is_weight: bool) -> Steps:
    scale = _float32((high - low) / 255)
    return Steps(scale, int(np.clip(np.round(-low / scale), 0, 255)), "uint8")


def _symmetry_max(low: float, high: float, is_weight: bool) -> Steps:
    greatest = max(-low, high)
    return Steps(_float32(2 * greatest / 255 if is_weight else greatest / 127), 0, "int8")


def _scale_shift(low: float, high: float, is_weight: bool) -> Steps:
    greatest = max(-low, high)
    return Steps(_float32(2.0 ** np.ceil(np.log2(greatest / 127)) if greatest else 0.0), 0, "int8")


_STRATEGIES: Mapping[str, Callable[[float, float, bool], Steps]] = {
    "minmax": _minmax,
    "symmetry_max": _symmetry_max,
    "scale_shift": _scale_shift,
}


def _float32(scale: float) -> float:
    """As networks hold it; 1 for a tensor of zeros, whose integers are zero in any."""
    found = float(np.float32(scale))
    return found if found > float(np.finfo(np.float32).tiny) else 1.0


def activation_steps(
    seen: Observed, strategy: str, calibrate: str, percentile: float | None = None
) -> tuple[float, float, Steps]:
    """The range that a way of calibration gives to a tensor, and the steps of a strategy for it. percentile: of the way
    of that name, in place of the usual one.
    """
    if calibrate == "minmax":
        low, high = seen.low, seen.high
    elif calibrate == "mse":
        low, high = seen.within(
            mse_threshold(seen, lambda low, high, x: steps_of(low, high, strategy, is_weight=False).rounded(x))
        )
    elif calibrate == "kl":
        low, high = seen.within(kl_threshold(seen))
    else:
        low, high = seen.within(percentile_threshold(seen, percentile or PERCENTILE))
    return low, high, steps_of(low, high, strategy, is_weight=False)


def weight_steps(weight: npt.NDArray[np.float32], axis: int | None, strategy: str) -> list[Steps]:
    """Steps of a weight, of each channel where it has an axis: of what it holds from end to end."""
    if axis is None:
        return [steps_of(float(weight.min(initial=0)), float(weight.max(initial=0)), strategy, is_weight=True)]
    channels = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    least = _LEAST_SHARE * float(np.abs(weight).max(initial=0))
    ranges = zip(channels.min(axis=1, initial=0), channels.max(axis=1, initial=0), strict=True)
    return [
        steps_of(float(low), float(high) if max(-low, high) >= least else least, strategy, is_weight=True)
        for low, high in ranges
    ]
