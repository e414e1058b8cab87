"""How a latency is sampled: warm-up, calibration of `number`, `repeat` means; the same rules for every runtime.

Knows neither TVM nor ONNX Runtime: a clock is given that runs the thing `number` times, `repeat` times over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Clock", "Sampling", "Timing", "sample"]

Clock = Callable[[int, int], list[float]]
"""(number, repeat) -> `repeat` means over `number` calls each, in seconds."""

CALIBRATION_SHARE = 0.1
"""A sample of a tenth of the wanted time predicts the time of a call well enough."""
MARGIN = 1.05
"""Calls become a little faster once caches are warm; the repeats must still be long enough."""
MAX_NUMBER = 10_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """The `measure` options of a study that rule one measurement."""

    repeat: int
    min_repeat_ms: float
    warmup: int
    """Calls before, kept apart from the rest."""
    number: int | None
    """Calls a repeat; None: as many as `min_repeat_ms` needs."""
    timeout_s: float
    """For all of it: upload, output check, warm-up and repeats."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Sampling:
        """From the options as stages carry them."""
        return cls(
            repeat=int(options["repeat"]),
            min_repeat_ms=float(options["min_repeat_ms"]),
            warmup=int(options["warmup"]),
            number=None if options["number"] is None else int(options["number"]),
            timeout_s=float(options["timeout_s"]),
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """What was sampled; every value is kept."""

    run_secs: list[float]
    """`repeat` means over `number` calls, in seconds."""
    number: int
    warmup_secs: list[float]
    """Single calls, in seconds."""


def sample(clock: Clock, sampling: Sampling) -> Timing:
    """Warm up, calibrate unless `number` is given, and take the repeats."""
    warmup_secs = clock(1, sampling.warmup) if sampling.warmup else []
    number = sampling.number
    if number is None:
        number = _calibrate(clock, sampling.min_repeat_ms / 1000, warmup_secs[-1] if warmup_secs else None)
    return Timing(run_secs=clock(number, sampling.repeat), number=number, warmup_secs=warmup_secs)


def _calibrate(clock: Clock, min_repeat_s: float, call_s: float | None) -> int:
    """The least `number` of calls that fills `min_repeat_s`, from samples that grow until they are long enough."""
    number = 1
    if call_s is None:
        (call_s,) = clock(number, 1)
    while number * call_s < min_repeat_s * CALIBRATION_SHARE and number < MAX_NUMBER:
        # At most tenfold at once: the first samples of something short are mostly overhead.
        wanted = math.ceil(min_repeat_s * CALIBRATION_SHARE / call_s) if call_s > 0 else MAX_NUMBER
        number = min(max(number + 1, wanted), number * 10, MAX_NUMBER)
        (call_s,) = clock(number, 1)
    if call_s <= 0:
        return MAX_NUMBER
    return min(MAX_NUMBER, max(1, math.ceil(MARGIN * min_repeat_s / call_s)))
