"""Takes blocks of repeats, each between two timings of the sentinel kernel, and takes disturbed ones again.

It works alike for every runtime, which it is given as a few functions. No measured value is thrown away: blocks that
do not count for the latency are set aside with their repeats and the reasons.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.taint import BlockConditions, block_median, least_tainted, taints
from sweep.devices.measuring import conditions
from sweep.devices.measuring.sentinel_kernel import Timer
from sweep.devices.measuring.timing import Clock, Ready, Repeats, Sampling, get_ready, take_repeats
from sweep.planning.results.disturbance import Disturbance

__all__ = ["Bystander", "MeasuringPlace", "TimingTarget", "measure_blocks"]

WAITS_S = (1.0, 4.0)
"""Before a tainted block is measured again, the first time and later: what disturbs is often gone in a moment."""
FIT = 1.5
"""A further block is begun where so many times the seconds of the last one are left: it may take as many repeats as
are allowed."""

Bystander = Callable[[], Mapping[str, Any]]
"""Reads the conditions of the machine that measures; {} where the server has no probe (TVM's stock server)."""


@dataclass(frozen=True, slots=True)
class TimingTarget:
    """The functions that time code and read conditions on the machine where the code runs."""

    clock: Clock
    time_kernel: Timer
    observe: Bystander
    extra: Mapping[str, Any]
    """Conditions that do not change during the measurement and that `observe` does not know."""


@dataclass(frozen=True, slots=True)
class MeasuringPlace:
    """The cores and threads that the code should run on, and the device's best kernel time so far."""

    cores: tuple[int, ...]
    """Empty: not known."""
    threads: int
    best_kernel_s: float | None
    """Least median of the sentinel kernel in this session so far."""
    usual_kernel_s: float | None = None
    """What it takes in the slowest of the device's usual states, by earlier runs."""


@dataclass(frozen=True, slots=True)
class _Block:
    repeats: Repeats
    kernel_before_s: list[float]
    kernel_after_s: list[float]
    conditions: Mapping[str, Any]

    def seen(self, place: MeasuringPlace, best_kernel_s: float | None) -> BlockConditions:
        return BlockConditions(
            self.kernel_before_s,
            self.kernel_after_s,
            best_kernel_s,
            self.conditions,
            place.cores,
            place.threads,
            place.usual_kernel_s,
        )

    def as_payload(self, reasons: Sequence[Disturbance]) -> dict[str, Any]:
        return {
            "run_secs": self.repeats.run_secs,
            "stopped_by": str(self.repeats.stopped_by),
            "reference_before_s": self.kernel_before_s,
            "reference_after_s": self.kernel_after_s,
            "tainted": [each.to_json() for each in reasons],
            "conditions": dict(self.conditions),
        }


def measure_blocks(
    apparatus: TimingTarget,
    sampling: Sampling,
    place: MeasuringPlace,
    left_s: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Warm up, then take blocks until one is clean, or there are no retakes, or `left_s` says that no other fits.

    The result of a measure stage as far as times go: the kept block's, its index `block` and why it is `tainted` (a
    list, empty for a clean one), and the others under `set_aside`.
    """
    ready = get_ready(apparatus.clock, sampling)
    blocks: list[_Block] = []
    best_s = place.best_kernel_s
    for take in range(1 + sampling.retakes):
        if blocks:
            sleep(WAITS_S[min(take, len(WAITS_S)) - 1])
        left_before_s = left_s()
        blocks.append(_take(apparatus, ready, sampling, place))
        best_s = _best(best_s, blocks[-1])
        block_s = left_before_s - left_s()
        if not taints(blocks[-1].seen(place, best_s)):
            kept = len(blocks) - 1
            break
        if left_s() < max(WAITS_S) + FIT * block_s:
            kept = least_tainted([block.seen(place, best_s) for block in blocks])
            break
    else:
        kept = least_tainted([block.seen(place, best_s) for block in blocks])
    payloads = [block.as_payload(taints(block.seen(place, best_s))) for block in blocks]
    return {
        **payloads[kept],
        "number": ready.number,
        "warmup_secs": ready.warmup_secs,
        "reference_best_s": best_s,
        **({} if place.usual_kernel_s is None else {"reference_usual_s": place.usual_kernel_s}),
        "block": kept,
        "set_aside": [{"block": index, **payload} for index, payload in enumerate(payloads) if index != kept],
    }


def _take(apparatus: TimingTarget, ready: Ready, sampling: Sampling, place: MeasuringPlace) -> _Block:
    # Observed within the kernel's timings: the clock of a core that idled before would be another.
    kernel_before_s = apparatus.time_kernel()
    before = apparatus.observe()
    repeats = take_repeats(apparatus.clock, ready, sampling)
    after = apparatus.observe()
    kernel_after_s = apparatus.time_kernel()
    seen = {**conditions.merge(before, after, place.threads), **apparatus.extra}
    return _Block(repeats, kernel_before_s, kernel_after_s, seen)


def _best(so_far_s: float | None, block: _Block) -> float | None:
    times = (so_far_s, block_median(block.kernel_before_s), block_median(block.kernel_after_s))
    return min((time_s for time_s in times if time_s is not None), default=None)
