"""Has networks take turns in short slots on one device, until they are told apart or the time is over.

Every round goes forth and back (A B B A), so that drift within it favours nobody, and a slot is so short that what
disturbs the machine for a tenth of a second or longer hits all of a round. Those of which a single call takes far
longer have their slots behind the others' (A B B A C C): between them they would tear the round apart. It works alike
for every runtime, which it is given as clocks. Decisions are those of `sweep.analysis.turns`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from sweep.analysis.turns import look_at, next_look
from sweep.devices.measuring.sentinel_kernel import Timer
from sweep.devices.measuring.timing import Clock, Ready, Sampling, get_ready

__all__ = ["SLOT_MS", "Contestant", "TakenRounds", "take_rounds"]

SLOT_MS = 20.0
"""At least, and one call: shorter than most bursts of other work, and twenty times the cost of asking for it."""
_FAR = 5.0
"""Whose slot takes more than so many times the shortest slot has its slots behind the others'."""
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
    """Take rounds until all contestants are told apart from the fastest that may lead, or the time is over.

    limit_s: for all together; each but one may take an equal share of it, and far slower ones take no more than theirs.
    One that is far behind beyond doubt takes no further rounds. One round at least is taken, and where the time is over
    one more look.
    """
    ready = [_got_ready(one) for one in contestants]
    begun = clock()
    rounds = _Rounds(contestants, ready, limit_s / max(1, len(contestants) - 1), time_kernel, clock)
    due = next_look(0)
    while rounds.goes_on:
        rounds.take()
        if rounds.count == due:
            rounds.look()
            due = next_look(due)
    if not rounds.is_looked_at and rounds.count > 1:
        rounds.look()
    rounds.taken.took_s = clock() - begun
    return rounds.taken


class _Rounds:
    """Rounds that were taken, who goes on, and what time is left."""

    def __init__(
        self,
        contestants: Sequence[Contestant],
        ready: Sequence[Ready],
        share_s: float,
        time_kernel: Timer,
        clock: Callable[[], float],
    ) -> None:
        self.taken = TakenRounds([one.number for one in ready], [[] for _ in contestants])
        self.count = 0
        self.is_looked_at = False
        """Whether the latest look was at all rounds."""
        self._contestants, self._time_kernel, self._clock, self._share_s = contestants, time_kernel, clock, share_s
        slot_s = [one.number * (one.call_s or one.warmup_secs[-1]) for one in ready]
        self._far = [index for index, each in enumerate(slot_s) if each > _FAR * min(slot_s)]
        self._near = [index for index in range(len(contestants)) if index not in self._far]
        self._left_s = share_s * max(1, len(self._near) - 1)
        """Of the time of those that are near, and how long their latest round took."""
        self._round_s = 0.0
        self._far_s = dict.fromkeys(self._far, 0.0)
        """What each of the others has taken."""
        self._behind: set[int] = set()

    @property
    def goes_on(self) -> bool:
        """Whether there is another round."""
        if not self.count:
            return True
        is_over = self._round_s > self._left_s
        return not (self.taken.is_decided or is_over or len(self._goes_on(self._near) + self._goes_on(self._far)) < 2)

    def take(self) -> None:
        """One round."""
        begun = self._clock()
        if kernel_s := self._time_kernel():
            self.taken.kernel_s.append(median(kernel_s))
        self._forth_and_back(self._goes_on(self._near))
        self._round_s = self._clock() - begun
        self._left_s -= self._round_s
        self._forth_and_back(self._goes_on(self._far))
        self.count, self.is_looked_at = self.count + 1, False

    def look(self) -> None:
        """Ask whether they are told apart."""
        self.taken.looks += 1
        look = look_at(self.taken.run_secs, [one.may_lead for one in self._contestants], self.taken.looks)
        self.taken.is_decided = look.is_decided_without(self._behind)
        self._behind.update(look.behind)
        self.is_looked_at = True

    def _goes_on(self, those: Sequence[int]) -> list[int]:
        return [index for index in those if index not in self._behind and not self._is_out_of_time(index)]

    def _is_out_of_time(self, index: int) -> bool:
        """Of a far slower one: whether another round would take more than its share."""
        rounds = len(self.taken.run_secs[index]) // 2
        return rounds > 0 and self._far_s.get(index, 0.0) * (rounds + 1) / rounds > self._share_s

    def _forth_and_back(self, those: Sequence[int]) -> None:
        for index in (*those, *reversed(those)):
            begun = self._clock()
            self.taken.run_secs[index] += self._contestants[index].clock(self.taken.numbers[index], 1)
            if index in self._far_s:
                self._far_s[index] += self._clock() - begun


def _got_ready(contestant: Contestant) -> Ready:
    if contestant.is_flushed:
        return Ready(1, contestant.clock(1, 1), None)
    return get_ready(contestant.clock, _READY)
