"""Judges whether a block of repeats was disturbed, from the sentinel kernel timed around it and its conditions.

Pure. The bounds tolerate the usual noise of builds on other cores, and catch disturbances that spoil a comparison:
another process on the core, throttling. A condition that was not read (TVM's stock server reports none) taints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from sweep.analysis.formatting import as_ms, as_percent, plural
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.disturbance import DisturbanceKind as Kind

__all__ = ["BlockConditions", "block_median", "least_tainted", "named_cores", "summed_up", "taints"]

SLOWED = 0.25
"""Share by which the sentinel kernel may be slower than the best seen on the device. `python -m benchmarks comparison`
tells its spread. On two virtual cores of an AMD EPYC, 97 and 94 blocks: at most 14.1 % alone, 14.0 % beside a load on
the other core; 97 % (median) under one on its own. On two of another host, beside builds: mostly 13 to 24 %, as of two
threads of one core; a bound for all has to let that pass."""
UNUSUAL = 0.10
"""Share by which it may be slower than in the slowest of the device's usual states, where these are known."""
DRIFTED = 0.20
"""Share by which it may differ before and after. In the same blocks: at most 8.7, 9.3 and 25.5 %."""
CLOCK_CHANGED = 0.10
"""Share by which the CPU's clock may differ before and after."""
FOREIGN = 0.10
"""Share of the cores' time that others may take, and so may the hypervisor."""
SHORTEST_S = 0.5
"""Of a shorter block such a share says nothing: the kernel counts in hundredths of a second."""


@dataclass(frozen=True, slots=True)
class BlockConditions:
    """The sentinel kernel's times and the machine's conditions before and after one block of repeats."""

    reference_before_s: Sequence[float]
    """Times of the sentinel kernel right before; empty where it was not timed."""
    reference_after_s: Sequence[float]
    reference_best_s: float | None
    """The least median of such times on the device so far, these included."""
    conditions: Mapping[str, Any]
    """Merged, as `sweep.devices.measuring.conditions.merge` gives them."""
    cores: Sequence[int]
    """The cores that the block should run on; empty where they are not known."""
    threads: int
    """The number of threads that the block should run with."""
    reference_usual_s: float | None = None
    """What the kernel takes in the slowest of the device's usual states; None while too little is known."""


def block_median(values: Sequence[float]) -> float | None:
    """Median; None for no value."""
    return median(values) if values else None


def taints(seen: BlockConditions) -> list[Disturbance]:
    """Reasons not to trust a block of repeats; none for a clean one."""
    return [*_reference(seen), *_others(seen.conditions), *_clock(seen.conditions), *_placement(seen)]


def summed_up(blocks: Sequence[Sequence[Disturbance]]) -> list[Disturbance]:
    """The disturbances of several blocks, each kind once: where it was worst, and in how many blocks it was found."""
    by_kind: dict[str, list[Disturbance]] = {}
    for disturbances in blocks:
        for each in disturbances:
            # Of a kind that this version does not know, only equal words are the same
            by_kind.setdefault(each.text if each.kind == Kind.UNKNOWN else each.kind, []).append(each)
    return [
        replace(max(alike, key=lambda each: each.measured or 0.0), in_blocks=len(alike), of_blocks=len(blocks))
        for alike in by_kind.values()
    ]


def least_tainted(blocks: Sequence[BlockConditions]) -> int:
    """Index of the block to keep: fewest reasons, then the fastest sentinel kernel around it; not its own latency,
    since taking the least of several would flatter a cell that was measured more often.
    """

    def order(index: int) -> tuple[int, float, int]:
        seen = blocks[index]
        around = [one for one in (block_median(seen.reference_before_s), block_median(seen.reference_after_s)) if one]
        return len(taints(seen)), max(around, default=0.0), index

    return min(range(len(blocks)), key=order)


def _reference(seen: BlockConditions) -> Iterator[Disturbance]:
    before, after = block_median(seen.reference_before_s), block_median(seen.reference_after_s)
    if before is None or after is None:
        return
    slowest, fastest = max(before, after), min(before, after)
    is_usual = seen.reference_usual_s is not None and slowest <= (1 + UNUSUAL) * seen.reference_usual_s
    if seen.reference_best_s is not None and slowest > (1 + SLOWED) * seen.reference_best_s and not is_usual:
        by = slowest / seen.reference_best_s - 1
        text = f"was {as_percent(by)} slower than its best on this device (contention or throttling)"
        yield Disturbance(Kind.KERNEL_SLOWED, by, SLOWED, f"the sentinel kernel {text}")
    if slowest > (1 + DRIFTED) * fastest:
        text = f"the sentinel kernel went from {as_ms(before * 1e3)} to {as_ms(after * 1e3)} ms"
        yield Disturbance(Kind.KERNEL_DRIFTED, slowest / fastest - 1, DRIFTED, text)


def _others(conditions: Mapping[str, Any]) -> Iterator[Disturbance]:
    competitors = max(conditions.get("competitors_before") or 0, conditions.get("competitors_after") or 0)
    if competitors:
        yield Disturbance(
            Kind.FOREIGN_THREADS, competitors, 1, f"{plural(competitors, 'foreign thread')} wanted the cores"
        )
    took_s = _grown(conditions, "at")
    cores = len(conditions.get("cores") or ())
    if not cores or took_s is None or took_s < SHORTEST_S:
        return
    busy_s, own_s, stolen_s = (_grown(conditions, name) for name in ("busy_s", "own_s", "stolen_s"))
    if busy_s is not None and own_s is not None and busy_s - own_s > FOREIGN * took_s * cores:
        share = (busy_s - own_s) / (took_s * cores)
        yield Disturbance(Kind.OTHERS_TOOK, share, FOREIGN, f"others took {as_percent(share)} of the cores' time")
    if stolen_s is not None and stolen_s > FOREIGN * took_s * cores:
        share = stolen_s / (took_s * cores)
        text = f"the hypervisor took {as_percent(share)} of the cores' time"
        yield Disturbance(Kind.HYPERVISOR_TOOK, share, FOREIGN, text)


def _clock(conditions: Mapping[str, Any]) -> Iterator[Disturbance]:
    before, after = conditions.get("cpu_mhz_before"), conditions.get("cpu_mhz_after")
    if before and after and max(before, after) > (1 + CLOCK_CHANGED) * min(before, after):
        text = f"the CPU's clock went from {before:.0f} to {after:.0f} MHz"
        yield Disturbance(Kind.CLOCK_CHANGED, max(before, after) / min(before, after) - 1, CLOCK_CHANGED, text)


def _placement(seen: BlockConditions) -> Iterator[Disturbance]:
    ran_on = seen.conditions.get("thread_cores") or seen.conditions.get("cores")
    if seen.cores and ran_on is not None and sorted(ran_on) != sorted(seen.cores):
        text = f"it ran on {named_cores(ran_on)} instead of {named_cores(seen.cores)}"
        yield Disturbance(Kind.OTHER_CORES, text=text)
    threads = seen.conditions.get("runtime_threads")
    if threads is not None and threads != seen.threads:
        text = f"it ran with {plural(threads, 'thread')} instead of {seen.threads}"
        yield Disturbance(Kind.OTHER_THREADS, text=text)


def _grown(conditions: Mapping[str, Any], name: str) -> float | None:
    before, after = conditions.get(f"{name}_before"), conditions.get(f"{name}_after")
    return None if before is None or after is None else float(after - before)


def named_cores(cores: Sequence[int]) -> str:
    """`core 1`, `cores 0, 1`."""
    return f"core{'' if len(cores) == 1 else 's'} {', '.join(str(core) for core in sorted(cores))}"
