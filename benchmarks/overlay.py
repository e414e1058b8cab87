"""How long the overlay's metric takes for a million configurations on sixteen devices, beside a plain loop over rows.

The loop is what one writes first: the best of each device, then for each configuration its regrets, one device after
another, in Python numbers. It is run on a sample and its time scaled up by rows, which the table says; on that sample
both give the same M.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.results import conditions, print_table, save
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import judge

__all__ = ["Timing", "bench_overlay", "time_overlay"]

CONFIGURATIONS, DEVICES = 1_000_000, 16
SAMPLE = 20_000
REPEATS = 5
MISSING = 0.001
"""Share of times that are not there: a configuration in sixty is out."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timing:
    """One comparison."""

    configurations: int
    devices: int
    vectorised_s: Sequence[float]
    """Of each repeat, for all configurations: theta, M, largest regret and choice."""
    loop_sample: int
    """Configurations that the loop was given."""
    loop_sample_s: Sequence[float]
    loop_s: float
    """For all configurations: the least time of the sample, scaled by rows; not measured."""
    ratio: float
    """`loop_s` over the least of `vectorised_s`."""
    largest_difference: float
    """Of the two M over the sample, relative."""
    times_bytes: int
    peak_bytes: int
    """Of the process so far; the least there can be is `times_bytes`."""


def bench_overlay(folder: Path) -> None:
    """Print the table and save it with the conditions."""
    timing = time_overlay()
    save(folder, "overlay", {"overlay": asdict(timing), "conditions": conditions(repeats=REPEATS)})
    print_table(
        f"overlay: M of {timing.configurations:,} configurations on {timing.devices} devices",
        ("", "seconds", "configurations timed"),
        [
            ("vectorised, least of the repeats", min(timing.vectorised_s), f"{timing.configurations:,}"),
            ("loop over rows, scaled up", timing.loop_s, f"{timing.loop_sample:,}"),
            ("ratio", timing.ratio, None),
        ],
    )
    print(f"times {timing.times_bytes / 1e6:.0f} MB, peak of the process {timing.peak_bytes / 1e6:.0f} MB")


def time_overlay(configurations: int = CONFIGURATIONS, devices: int = DEVICES, repeats: int = REPEATS) -> Timing:
    """Time both on made-up times: log-normal, as latencies of random schedules are, with some missing."""
    times = _made_up(configurations, devices)
    judged, vectorised_s = _timed(lambda: judge(times), repeats)
    sample = min(SAMPLE, configurations)
    best_s, rows = judged.best_s.tolist(), times.seconds[:sample].tolist()
    # A sample has another theta than all rows have: it is looked for, and the regrets are against that of all.
    _, best_loop_s = _timed(lambda: _best_by_rows(rows), repeats)
    metric, metric_loop_s = _timed(lambda: _metric_by_rows(rows, best_s), repeats)
    loop_sample_s = [one + other for one, other in zip(best_loop_s, metric_loop_s, strict=True)]
    loop_s = min(loop_sample_s) * configurations / sample
    return Timing(
        configurations=configurations,
        devices=devices,
        vectorised_s=vectorised_s,
        loop_sample=sample,
        loop_sample_s=loop_sample_s,
        loop_s=loop_s,
        ratio=loop_s / min(vectorised_s),
        largest_difference=_difference(metric, judged.metric[:sample].tolist()),
        times_bytes=times.seconds.nbytes,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _timed(work: Callable[[], T], repeats: int) -> tuple[T, list[float]]:
    """What it gave last, and the seconds of each repeat, of which there is one at least."""
    took_s = []
    while True:
        start = time.perf_counter()
        result = work()
        took_s.append(time.perf_counter() - start)
        if len(took_s) >= repeats:
            return result, took_s


def _best_by_rows(rows: Sequence[Sequence[float]]) -> list[float]:
    """theta, as a plain loop finds it."""
    best_s = [math.inf] * len(rows[0])
    for row in rows:
        for column, seconds in enumerate(row):
            if seconds < best_s[column]:
                best_s[column] = seconds
    return best_s


def _metric_by_rows(rows: Sequence[Sequence[float]], best_s: Sequence[float]) -> list[float]:
    """M of each row, NaN for one that is out, as a plain loop finds it."""
    metric = []
    for row in rows:
        total = 0.0
        for seconds, least_s in zip(row, best_s, strict=True):
            total += (seconds - least_s) / least_s
        metric.append(total)
    return metric


def _difference(metric: Sequence[float], other: Sequence[float]) -> float:
    """Raises ValueError where one has an M and the other none."""
    if [math.isnan(value) for value in metric] != [math.isnan(value) for value in other]:
        raise ValueError("the loop and the vectorised metric differ in which configurations are out")
    pairs = [(one, two) for one, two in zip(metric, other, strict=True) if not math.isnan(one)]
    return max((abs(one - two) / max(one, two, 1e-300) for one, two in pairs), default=0.0)


def _made_up(configurations: int, devices: int) -> LayerTimes:
    """In place, so that making the times takes no more memory than they do."""
    random = np.random.default_rng(0)
    seconds = np.empty((configurations, devices))
    random.standard_normal(out=seconds)
    np.exp(seconds, out=seconds)
    seconds *= 1e-3
    missing = random.integers(0, seconds.size, int(MISSING * seconds.size))
    seconds.reshape(-1)[missing] = np.nan
    return LayerTimes(
        layer="made up",
        workload="made up",
        weight=1,
        configurations=[f"{row:08x}" for row in range(configurations)],
        devices=[f"board-{column:02d}" for column in range(devices)],
        seconds=seconds,
    )
