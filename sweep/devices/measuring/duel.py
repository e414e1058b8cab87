"""Has networks meet in short slots on one device, until they are told apart or the time is over.

In turns, a round goes forth and back (A B B A), so that drift within it favours nobody, and a slot is so short that
what disturbs the machine for a tenth of a second or longer hits all of a round. Those of which a single call takes far
longer have their slots behind the others' (A B B A C C): between them they would tear the round apart. Rounds are taken
in heats, for each of which the caller loads all anew: `sweep.analysis.turns` says why, and decides. It works alike for
every runtime, which it is given as clocks, and for every way of taking a round.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from sweep.analysis.turns import HEATS, Slots, look_at, next_look, over
from sweep.devices.measuring.sentinel_kernel import Timer
from sweep.devices.measuring.timing import Clock, Ready, Sampling, get_ready

__all__ = ["SLOT_MS", "Contestant", "Duel", "InTurns", "Rounds", "Taken", "TakenRounds"]

SLOT_MS = 20.0
"""At least, and one call: shorter than most bursts of other work, and twenty times the cost of asking for it."""
_FAR = 5.0
"""Whose slot takes more than so many times the shortest slot has its slots behind the others'."""
_ROUNDS = 5
"""In a heat at least, where the time lets so many: of fewer the median is one round's."""
_PART = 0.5
"""Of what it takes to load: so long are rounds taken at least. What heats differ by is told by heats alone."""
_HEATS = 6
"""That the time is shared out to, where loading leaves time for so many: with four, an interval is half as wide again.
"""
_TICK_S = 1e-9
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
    is_flushed: bool = False
    """Whether its clock empties the caches before each value, which then is a single call."""


Taken = tuple[int, Sequence[float], Sequence[float]]
"""A contestant, seconds a call of slots that it took, and of those that the leader took beside them, if it did."""


class Rounds(Protocol):
    """How the rounds of a heat are taken: nothing else in a final depends on it."""

    def lasting(self, slot_s: Mapping[int, float], leader: int) -> Mapping[int, float]:
        """Seconds for which a slot of each contestant keeps the others waiting, of those that its own calls take."""
        ...

    def take(
        self, contestants: Mapping[int, Contestant], those: Sequence[int], numbers: Sequence[int], leader: int
    ) -> Iterator[Taken]:
        """One round of `those`. numbers: calls of a slot. leader: the fastest so far of the heat that may lead."""
        ...


class InTurns:
    """One after the other, forth and back."""

    def lasting(self, slot_s: Mapping[int, float], leader: int) -> Mapping[int, float]:
        return slot_s

    def take(
        self, contestants: Mapping[int, Contestant], those: Sequence[int], numbers: Sequence[int], leader: int
    ) -> Iterator[Taken]:
        for index in (*those, *reversed(those)):
            yield index, contestants[index].clock(numbers[index], 1), ()


@dataclass(slots=True)
class TakenRounds:
    """What the rounds gave."""

    numbers: list[int]
    """Calls a slot, by contestant."""
    run_secs: list[list[list[float]]]
    """By contestant and heat, two slots for each round; of one that did not go on, the first heats."""
    leader_secs: list[list[list[float]]]
    """Those that the leader of the heat took beside these, its own for that one; empty heats where all take turns."""
    kernel_s: list[float] = field(default_factory=list)
    """Median of the sentinel kernel at the beginning of each heat; empty without one."""
    looks: int = 0
    took_s: float = 0.0
    """Since all were loaded for the first time."""
    is_decided: bool = False
    is_last_look: bool = False
    """Whether the latest look was taken since the time was over."""

    def compared(self, index: int) -> Sequence[Slots]:
        """What ratios of a contestant are made of, by heat."""
        own, beside = self.run_secs[index], self.leader_secs[index]
        return over(own, beside) if any(beside) else own


class Duel:
    """Takes heat after heat, until all contestants are told apart from the fastest that may lead, or the time is over.

    One that is far behind beyond doubt takes no further heats. One heat is taken at least, and where the time is over
    there is one more look.
    """

    def __init__(
        self,
        may_lead: Sequence[bool],
        limit_s: float,
        clock: Callable[[], float] = time.monotonic,
        rounds: Rounds | None = None,
    ) -> None:
        """may_lead: of each contestant. limit_s: for all together; each but one may take an equal share of it, and far
        slower ones take no more than theirs. Loading counts, but for the first time. rounds: else in turns.
        """
        self.taken = TakenRounds([0] * len(may_lead), [[] for _ in may_lead], [[] for _ in may_lead])
        self._may_lead, self._limit_s, self._clock = may_lead, limit_s, clock
        self._how = rounds or InTurns()
        self._order: list[int] = []
        """Who leads a heat: the first of those that are loaded for it."""
        self._asked, self._asked_t = list(range(len(may_lead))), clock()
        """For the next heat, and when."""
        self._near: list[int] = []
        self._far_s: dict[int, float] = {}
        """What each of the far slower ones has taken."""
        self._done: set[int] = set()
        """Who is far behind, or could not be loaded again."""
        self._share_s = self._left_s = self._heat_s = self._begun_t = 0.0
        """Share of the time of one, what is left of that of the near ones, and what their latest heat took of it."""
        self._rounds = 0
        """Of each heat."""
        self._due = next_look(0)

    @property
    def heats(self) -> int:
        """How many were taken."""
        return max(map(len, self.taken.run_secs))

    def next_heat(self) -> Sequence[int]:
        """Who is to be loaded for the next heat; nobody where there is none. To be asked right before loading."""
        if self.heats:
            going = [index for index in (*self._near, *self._far_s) if self._goes_on(index)]
            is_over = self.taken.is_decided or self._heat_s > self._left_s or len(going) < 2
            self._asked = [] if is_over else sorted(going)
            if is_over and not self.taken.is_decided and max(map(_rounds_in, self.taken.run_secs)) > 1:
                self._look(is_last=True)
        self._asked_t = self._clock()
        return self._asked

    def take_heat(self, contestants: Mapping[int, Contestant], time_kernel: Timer) -> None:
        """Take the rounds of a heat with those of `next_heat` that could be loaded; none with fewer than two."""
        loaded_t = self._clock()
        load_s = loaded_t - self._asked_t
        self._done |= set(self._asked) - contestants.keys()
        if len(contestants) < 2:
            return
        if self.heats:
            for index in self._near:
                if index in contestants:
                    contestants[index].clock(self.taken.numbers[index], 1)
        else:
            self._get_ready(contestants)
            self._begun_t = loaded_t = self._clock()
        far_s = sum(self._far_s.values())
        for index in contestants:
            self.taken.run_secs[index].append([])
            self.taken.leader_secs[index].append([])
        if kernel_s := time_kernel():
            self.taken.kernel_s.append(median(kernel_s))
        round_s = self._take_round(contestants)
        self._take_slots(contestants, self._far_s)
        self._rounds = self._rounds or self._rounds_of_heats(max(round_s, _TICK_S), load_s)
        for _ in range(1, self._rounds):
            self._take_round(contestants)
        taken_s = self._clock() - loaded_t - (sum(self._far_s.values()) - far_s)
        self._left_s -= taken_s + (load_s if self.heats > 1 else 0.0)
        self._heat_s = taken_s + load_s
        self.taken.took_s = self._clock() - self._begun_t
        if self.heats == self._due:
            self._look()
            self._due = next_look(self._due)

    def _get_ready(self, contestants: Mapping[int, Contestant]) -> None:
        """Find how many calls make a slot, who is far slower, and what time there is."""
        ready = {index: _got_ready(one) for index, one in contestants.items()}
        call_s = {index: one.call_s or one.warmup_secs[-1] for index, one in ready.items()}
        for index, one in ready.items():
            self.taken.numbers[index] = one.number
        self._order = sorted(ready, key=lambda index: (not self._may_lead[index], call_s[index]))
        slot_s = {index: one.number * call_s[index] for index, one in ready.items()}
        lasting = self._how.lasting(slot_s, self._order[0])
        self._far_s = {index: 0.0 for index, each in lasting.items() if each > _FAR * min(lasting.values())}
        self._near = [index for index in slot_s if index not in self._far_s]
        self._share_s = self._limit_s / max(1, len(ready) - 1)
        self._left_s = self._share_s * max(1, len(self._near) - 1)

    def _goes_on(self, index: int) -> bool:
        rounds, taken_s = _rounds_in(self.taken.run_secs[index]), self._far_s.get(index, 0.0)
        return index not in self._done and taken_s * (rounds + 1) <= self._share_s * rounds

    def _rounds_of_heats(self, round_s: float, load_s: float) -> int:
        """How many each heat has: so many that they are worth the loading, and that there is time for heats enough."""
        wanted = max(_ROUNDS, math.ceil(_PART * load_s / round_s))
        many, few, one = (int((self._left_s - (heats - 1) * load_s) / heats / round_s) for heats in (_HEATS, HEATS, 1))
        fitting = many if many >= _ROUNDS else few if few > 0 else one
        return max(1, min(wanted, fitting))

    def _take_round(self, contestants: Mapping[int, Contestant]) -> float:
        """One round of those that are near, and what it took."""
        begun_t = self._clock()
        self._take_slots(contestants, self._near)
        return self._clock() - begun_t

    def _take_slots(self, contestants: Mapping[int, Contestant], those: Iterable[int]) -> None:
        there = [index for index in those if index in contestants]
        leader = next(index for index in self._order if index in contestants)
        begun_t = self._clock()
        for index, own, leaders in self._how.take(contestants, there, self.taken.numbers, leader):
            self.taken.run_secs[index][-1] += own
            self.taken.leader_secs[index][-1] += leaders
            ended_t = self._clock()
            if index in self._far_s:
                self._far_s[index] += ended_t - begun_t
            begun_t = ended_t

    def _look(self, *, is_last: bool = False) -> None:
        """Ask whether they are told apart, and who leads now."""
        there = [index for index, heats in enumerate(self.taken.run_secs) if heats]
        self.taken.looks += 1
        self.taken.is_last_look = is_last
        slots, may_lead = [self.taken.compared(index) for index in there], [self._may_lead[index] for index in there]
        look = look_at(slots, may_lead, self.taken.looks, is_last=is_last)
        self.taken.is_decided = look.is_decided_without({at for at, index in enumerate(there) if index in self._done})
        self._done.update(there[at] for at in look.behind)
        leader = there[look.leader]
        self._order = [leader, *(index for index in self._order if index != leader)]


def _got_ready(contestant: Contestant) -> Ready:
    if contestant.is_flushed:
        return Ready(1, contestant.clock(1, 1), None)
    return get_ready(contestant.clock, _READY)


def _rounds_in(heats: Sequence[Sequence[float]]) -> int:
    return sum(map(len, heats)) // 2
