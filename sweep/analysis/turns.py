"""Compares networks that take turns in short slots, forth and back in every round: ratios, and when there are enough.

What disturbs a round hits all of its slots about alike, so it cancels in the ratio (duet benchmarking: Bulej and
others, ICPE 2020). A network that is loaded has a speed of its own until it is loaded again: its memory lies as it
happens to lie. So rounds are taken in heats, each of which loads all anew, and what heats differ by is the error
(Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013). Pure; knows no cell, no clock and no device.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.repeats import student_t
from sweep.analysis.statistics import VERDICT_LEVEL, Ratio, Verdict, judge

__all__ = [
    "FEWEST_HEATS",
    "FIRST_LOOK",
    "GROWTH",
    "HEATS",
    "Look",
    "Slots",
    "huber",
    "is_due",
    "look_at",
    "looks_in",
    "next_look",
    "over",
]

Logs = NDArray[np.float64]
Slots = Sequence[float]
"""Seconds of the slots of one heat, two a round: forth, then back."""

HEATS = 4
"""Before the first look: of three, an interval is so wide that it seldom says anything."""
FEWEST_HEATS = 3
"""Fewer, as of a final that had no time for more, are taken as one: what loading anew would change is not known."""
FIRST_LOOK = 5
"""Rounds, or pairs, before the first look at what was loaded once, or each time."""
GROWTH = 1.5
"""From one look to the next."""
NARROW = 0.05
"""A pair that is told apart is done once its interval, end to end, is narrower than this share of the ratio: the ratio
is told to people, and not the verdict alone."""
FAR = 0.5
"""Of how far the two are apart, the logarithm of their ratio: so wide may the interval be where that is more. A network
that takes 1.27 times as long as another needs no 5 % to be told so, and one that takes three times as long still less.
"""
BEHIND = 1.5
"""One that is told apart and takes longer than so many times the leader's time need not go on."""
HUBER_K = 1.345
"""Deviations beyond which a value counts less: 95 % as efficient as the mean where nothing disturbs."""
FEW = 12
"""Of fewer values the scale is known too badly to call one an outlier: mean and deviation, as Student has them."""
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Look:
    """How contestants stand to the leader after some rounds."""

    leader: int
    """Index of the fastest of those that may lead."""
    ratios: tuple[Ratio, ...]
    """Of each contestant's time to the leader's; the leader's own is 1."""

    @property
    def is_decided(self) -> bool:
        """Whether each is told apart from the leader, or is the same to within what matters."""
        return self.is_decided_without(())

    @property
    def behind(self) -> tuple[int, ...]:
        """Who is told apart and far behind, so that further rounds of it would tell nothing that matters."""
        return tuple(
            index
            for index, ratio in enumerate(self.ratios)
            if ratio.ci_low is not None and ratio.ci_low > BEHIND and _is_enough(ratio)
        )

    def is_decided_without(self, done: Collection[int]) -> bool:
        """Whether it is for all but those, of which an earlier look has decided."""
        others = (ratio for index, ratio in enumerate(self.ratios) if index != self.leader and index not in done)
        return all(_is_enough(ratio) for ratio in others)


def look_at(seconds: Sequence[Sequence[Slots]], may_lead: Sequence[bool], look: int, *, is_last: bool = False) -> Look:
    """How contestants stand at the `look`-th look, from 1.

    seconds: of each contestant the slots of its heats in their order; of one that did not go on, those that it took
    from the first on. may_lead: of each, whether others are held against it; all may where none does. is_last: there
    is no other look, so this one has what those before have left. However often one looks, 1 % of equal pairs are told
    apart.
    """
    logs = [[np.log(np.asarray(slots, dtype=np.float64)).reshape(-1, 2).mean(axis=1) for slots in of] for of in seconds]
    level = 1 - (1 - VERDICT_LEVEL) / (look if is_last else look * (look + 1))
    leaders = [index for index, may in enumerate(may_lead) if may] or list(range(len(seconds)))
    first = max(leaders, key=lambda index: sum(map(len, logs[index])))
    leader = min(leaders, key=lambda index: 0.0 if index == first else _located(logs, index, first, level)[0])
    return Look(leader, tuple(_ratio(logs, index, leader, level) for index in range(len(logs))))


def over(own: Sequence[Slots], leaders: Sequence[Slots]) -> list[Slots]:
    """Heats of a network that runs side by side with a leader, as `look_at` takes them: each slot over what the leader
    took beside it. Whoever leads in a heat, the ratio of two networks in it is that of these.
    """
    return [[one / beside for one, beside in zip(*heat, strict=True)] for heat in zip(own, leaders, strict=True)]


def next_look(count: int, first: int = HEATS) -> int:
    """After how many heats to look again, having looked after so many; 0: not yet."""
    return math.ceil(GROWTH * count) if count else first


def is_due(count: int) -> bool:
    """Whether one looks after so many heats however the final goes on; else the time was over then."""
    return count == _looks(count, HEATS)[-1]


def looks_in(count: int, first: int = HEATS) -> int:
    """How often one has looked at most after so many heats, the last of them included."""
    return len(_looks(count, first))


def _looks(count: int, first: int) -> Sequence[int]:
    """After how many heats one looks, up to the first time that there are `count` or more."""
    looks = [next_look(0, first)]
    while looks[-1] < count:
        looks.append(next_look(looks[-1]))
    return looks


def _located(logs: Sequence[Sequence[Logs]], index: int, other: int, level: float) -> tuple[float, float]:
    """Logarithm of one's ratio to the other, by the rounds that both took, and by how much it may be wrong."""
    heats = [
        own[:common] - others[:common]
        for own, others in zip(logs[index], logs[other], strict=False)
        if (common := min(len(own), len(others)))
    ]
    if len(heats) < FEWEST_HEATS:
        return huber(np.concatenate([*heats, np.empty(0)]), level)
    # The median of a heat forgives the round in which a burst began or ended
    return _student(np.asarray([np.median(heat) for heat in heats]), level)


def _student(values: Logs, level: float) -> tuple[float, float]:
    count = len(values)
    spread = float(values.std(ddof=1)) if count > 1 else math.inf
    return float(values.mean()), student_t(level, max(1, count - 1)) * spread / math.sqrt(count)


def huber(values: Logs, level: float) -> tuple[float, float]:
    """Robust location of values that are taken one after the other, and by how much it may be wrong.

    The reach is Student's; where values that follow each other are alike, it is that of their batches' means.
    """
    count = len(values)
    if count < FEW:
        return _student(values, level)
    centre = float(np.median(values))
    scale = 1.4826 * float(np.median(np.abs(values - centre)))
    if scale == 0:
        return centre, 0.0 if float(values.std()) == 0 else float(values.std(ddof=1)) / math.sqrt(count)
    bound = HUBER_K * scale
    for _ in range(_STEPS):
        before, centre = centre, centre + float(_clipped(values, centre, bound).mean()) / _share(values, centre, bound)
        if abs(centre - before) < 1e-9 * scale:
            break
    influence = _clipped(values, centre, bound) / _share(values, centre, bound)
    alone = student_t(level, count - 1) * float(influence.std(ddof=1)) / math.sqrt(count)
    size = math.isqrt(count)
    means = influence[: count - count % size].reshape(-1, size).mean(axis=1)
    batched = student_t(level, len(means) - 1) * float(means.std(ddof=1)) / math.sqrt(len(means))
    return centre, max(alone, batched)


def _clipped(values: Logs, centre: float, bound: float) -> Logs:
    clipped: Logs = np.clip(values - centre, -bound, bound)
    return clipped


def _share(values: Logs, centre: float, bound: float) -> float:
    """Of the values that count in full."""
    return max(float((np.abs(values - centre) <= bound).mean()), 0.1)


def _ratio(logs: Sequence[Sequence[Logs]], index: int, leader: int, level: float) -> Ratio:
    if index == leader:
        return Ratio(1.0, 1.0, 1.0)
    centre, reach = _located(logs, index, leader, level)
    if not math.isfinite(reach):
        return Ratio(math.exp(centre), None, None)
    return Ratio(math.exp(centre), math.exp(centre - reach), math.exp(centre + reach))


def _is_enough(ratio: Ratio) -> bool:
    if ratio.ci_low is None or ratio.ci_high is None:
        return False
    verdict = judge(ratio).verdict
    wide_enough = max(NARROW, FAR * abs(math.log(ratio.value)))
    is_narrow = ratio.ci_high - ratio.ci_low < wide_enough * ratio.value
    return verdict is Verdict.SAME or (verdict is not Verdict.AMBIGUOUS and is_narrow)
