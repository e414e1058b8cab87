"""Samples a latency: warm-up, calibration of `number`, then repeats until their median is known well enough.

The same rules for every runtime. Knows none of them: a clock is given that runs the thing `number`
times, `repeat` times over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sweep.analysis.statistics import relative_interval

__all__ = [
    "RETAKES",
    "Clock",
    "Ready",
    "Repeats",
    "Sampling",
    "StoppedBy",
    "Timing",
    "get_ready",
    "sample",
    "take_repeats",
]

Clock = Callable[[int, int], list[float]]
"""(number, repeat) -> `repeat` means over `number` calls each, in seconds."""

CALIBRATION_SHARE = 0.1
"""A sample of a tenth of the wanted time predicts the time of a call well enough."""
CALIBRATION_LOOKS = 3
"""Of each sample the fastest counts: one that was interrupted would give far too few calls a repeat."""
MARGIN = 1.05
"""Calls become a little faster once caches are warm; the repeats must still be long enough."""
MAX_NUMBER = 10_000_000
FEWEST_REPEATS = 3
"""Taken whatever the time limit says: fewer tell nothing of the spread."""
BATCH, BATCH_SHARE = 5, 4
"""After the least number, repeats come by fives, or by a quarter of those there are: few looks at the interval, since
each further one is a further chance to stop while it is narrow by luck."""


RETAKES = 2
"""Of a tainted block, right after it."""


class StoppedBy(StrEnum):
    """The rule that ended the repeats."""

    INTERVAL = "interval"
    """The interval of the median is as narrow as was asked for."""
    REPEATS = "repeats"
    """`max_repeat` is reached."""
    TIME = "time"
    """Another repeat would go beyond `time_limit_s`, or another visit beyond `timeout_s`."""
    DISTURBED = "disturbed"
    """More blocks were tainted than there are rounds."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """The `measure` options of a study, as they apply to one measurement."""

    repeat: int
    """Values at least, unless the time is over."""
    min_repeat_ms: float
    warmup: int
    """Calls before, kept apart from the rest."""
    number: int | None
    """Calls a repeat; None: as many as `min_repeat_ms` needs."""
    timeout_s: float
    """Limit of the whole measurement: upload, output check, warm-up and repeats."""
    max_repeat: int
    """Values at most."""
    relative_interval: float
    """Enough once the 95 % interval of the median is narrower, end to end, than this share of the median."""
    time_limit_s: float
    """Sampling stops once the timed calls have taken this long; at least three repeats are always taken."""
    cache_flush: bool
    """Empty the caches before each repeat, which is then a single call."""
    retakes: int
    """How often a tainted block may be measured again right away; a measurement in rounds comes back to it instead."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Sampling:
        """From the options as stages carry them; without those of the stop rule, `repeat` values are all."""
        return cls(
            repeat=int(options["repeat"]),
            min_repeat_ms=float(options["min_repeat_ms"]),
            warmup=int(options["warmup"]),
            number=None if options["number"] is None else int(options["number"]),
            timeout_s=float(options["timeout_s"]),
            max_repeat=int(options.get("max_repeat", options["repeat"])),
            relative_interval=float(options.get("relative_interval", 0.0)),
            time_limit_s=float(options.get("time_limit_s", math.inf)),
            cache_flush=bool(options.get("cache_flush", False)),
            retakes=int(options.get("retakes", RETAKES)),
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """The warm-up calls, and the `number` of calls a repeat, before the first repeat is taken."""

    number: int
    warmup_secs: list[float]
    """Single calls, in seconds."""
    call_s: float | None
    """About how long a call takes; None: no call was timed yet."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """One block of repeats; every value is kept."""

    run_secs: list[float]
    """Means over `number` calls, in seconds."""
    stopped_by: StoppedBy


@dataclass(frozen=True, slots=True)
class Timing:
    """Warm-up and one block of repeats."""

    run_secs: list[float]
    number: int
    warmup_secs: list[float]
    stopped_by: StoppedBy


def sample(clock: Clock, sampling: Sampling) -> Timing:
    """Warm up, calibrate unless `number` is given, and take the repeats."""
    ready = get_ready(clock, sampling)
    repeats = take_repeats(clock, ready, sampling)
    return Timing(repeats.run_secs, ready.number, ready.warmup_secs, repeats.stopped_by)


def get_ready(clock: Clock, sampling: Sampling) -> Ready:
    """Warm up, and find `number` unless it is given."""
    warmup_secs = clock(1, sampling.warmup) if sampling.warmup else []
    call_s = warmup_secs[-1] if warmup_secs else None
    number = 1 if sampling.cache_flush else sampling.number
    if number is None:
        number, call_s = _calibrate(clock, sampling.min_repeat_ms / 1000, call_s)
    return Ready(number, warmup_secs, call_s)


def take_repeats(clock: Clock, ready: Ready, sampling: Sampling) -> Repeats:
    """`repeat` values, then more until the interval is narrow, `max_repeat` reached or the time over."""
    run_secs: list[float] = []
    call_s = ready.call_s
    while True:
        if len(run_secs) >= sampling.repeat and _is_narrow(run_secs, sampling.relative_interval):
            return Repeats(run_secs, StoppedBy.INTERVAL)
        wanted = _wanted(len(run_secs), sampling)
        if not wanted:
            return Repeats(run_secs, StoppedBy.REPEATS)
        left_s = sampling.time_limit_s - ready.number * sum(run_secs)
        fewest = max(0, min(FEWEST_REPEATS, sampling.repeat) - len(run_secs))
        batch = min(wanted, max(fewest, _affordable(left_s, None if call_s is None else ready.number * call_s)))
        if not batch:
            return Repeats(run_secs, StoppedBy.TIME)
        run_secs += clock(ready.number, batch)
        call_s = sum(run_secs) / len(run_secs)


def _wanted(taken: int, sampling: Sampling) -> int:
    """How many repeats to take before the next look at the interval."""
    if taken < sampling.repeat:
        return sampling.repeat - taken
    return max(0, min(max(BATCH, taken // BATCH_SHARE), sampling.max_repeat - taken))


def _affordable(left_s: float, repeat_s: float | None) -> int:
    """How many repeats are known to fit into the time that is left."""
    if left_s <= 0 or (repeat_s is None and left_s < math.inf):
        return 0
    share = left_s / repeat_s if repeat_s else math.inf
    return math.floor(share) if share < MAX_NUMBER else MAX_NUMBER


def _is_narrow(run_secs: Sequence[float], bound: float) -> bool:
    if min(run_secs) <= 0:  # of a clock that is too coarse nothing can be said
        return False
    width = relative_interval(run_secs)
    return width is not None and width < bound


def _calibrate(clock: Clock, min_repeat_s: float, call_s: float | None) -> tuple[int, float]:
    """The least `number` of calls that fills `min_repeat_s`, from samples that grow until they are long enough; and
    the seconds of a call.
    """
    number = 1
    if call_s is None:
        (call_s,) = clock(number, 1)
    while number * call_s < min_repeat_s * CALIBRATION_SHARE and number < MAX_NUMBER:
        # At most tenfold at once: the first samples of something short are mostly overhead.
        wanted = math.ceil(min_repeat_s * CALIBRATION_SHARE / call_s) if call_s > 0 else MAX_NUMBER
        number = min(max(number + 1, wanted), number * 10, MAX_NUMBER)
        call_s = min(clock(number, CALIBRATION_LOOKS))
    if call_s <= 0:
        return MAX_NUMBER, call_s
    return min(MAX_NUMBER, max(1, math.ceil(MARGIN * min_repeat_s / call_s))), call_s
