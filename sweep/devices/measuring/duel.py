"""Has networks take turns in short slots on one device, until they are told apart or the time is over.

Every round goes forth and back (A B B A), so that drift within it favours nobody, and a slot is so short that what
disturbs the machine for a tenth of a second or longer hits all of a round. It works alike for every runtime, which it
is given as clocks. Decisions are those of `sweep.analysis.turns`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from statistics import median

from sweep.analysis.turns import look_at, next_look
from sweep.devices.measuring.sentinel_kernel import Timer
from sweep.devices.measuring.timing import Clock, Ready, Sampling, get_ready

__all__ = ["SLOT_MS", "Contestant", "TakenRounds", "take_rounds"]

SLOT_MS = 20.0
"""At least, and one call: shorter than most bursts of other work, and twenty times the cost of asking for it."""
_READY = Sampling(
    repeat=1,
    min_repeat_ms=SLOT_MS,
    warmup=1,
    number=None,
    timeout_s=0.0,
    max_repeat=1,
    relative_interval=0.0,
    time_limit_s=0.0,
    cache_flush=False,
    retakes=0,
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A network that is loaded and whose outputs were checked."""

    clock: Clock
    may_lead: bool
    """Whether others are held against it."""
    is_flushed: bool = False
    """Whether its clock empties the caches before each value, which then is a single call."""


@dataclass(slots=True)
class TakenRounds:
    """What the rounds gave."""

    numbers: list[int]
    """Calls a slot, by contestant."""
    run_secs: list[list[float]]
    """By contestant, two slots for each round that it took, from the first on."""
    kernel_s: list[float] = field(default_factory=list)
    """Median of the sentinel kernel at the beginning of each round; empty without one."""
    looks: int = 0
    took_s: float = 0.0
    is_decided: bool = False


def take_rounds(
    contestants: Sequence[Contestant],
    limit_s: float,
    time_kernel: Timer,
    clock: Callable[[], float] = time.monotonic,
) -> TakenRounds:
    """Take rounds until all contestants are told apart from the fastest that may lead, or `limit_s` is over.

    One that is far behind beyond doubt takes no further rounds. One round at least is taken, and where the time is over
    one more look.
    """
    ready = [_got_ready(one) for one in contestants]
    taken = TakenRounds([one.number for one in ready], [[] for _ in contestants])
    may_lead = [one.may_lead for one in contestants]
    begun, count, due, round_s, behind = clock(), 0, next_look(0), 0.0, set[int]()
    while True:
        if clock() - begun + round_s > limit_s and count:
            if count > 1:
                _look(taken, may_lead, behind)
            break
        round_begun = clock()
        _take_round(contestants, taken, time_kernel, behind)
        count, round_s = count + 1, clock() - round_begun
        if count == due:
            _look(taken, may_lead, behind)
            if taken.is_decided:
                break
            due = next_look(count)
    taken.took_s = clock() - begun
    return taken


def _look(taken: TakenRounds, may_lead: Sequence[bool], behind: set[int]) -> None:
    taken.looks += 1
    look = look_at(taken.run_secs, may_lead, taken.looks)
    taken.is_decided = look.is_decided_without(behind)
    behind.update(look.behind)


def _take_round(
    contestants: Sequence[Contestant], taken: TakenRounds, time_kernel: Timer, behind: Collection[int]
) -> None:
    if kernel_s := time_kernel():
        taken.kernel_s.append(median(kernel_s))
    forth = [index for index in range(len(contestants)) if index not in behind]
    for index in (*forth, *reversed(forth)):
        taken.run_secs[index] += contestants[index].clock(taken.numbers[index], 1)


def _got_ready(contestant: Contestant) -> Ready:
    if contestant.is_flushed:
        return Ready(1, contestant.clock(1, 1), None)
    return get_ready(contestant.clock, _READY)
