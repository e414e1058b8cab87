"""Has networks run in pairs, at the same moment on two groups of cores, in each round of a final's heat.

The fastest so far runs beside each of the others twice: the second time each is on the cores that the other had. What
hits both groups at once hits both of a pair alike, and that one group is slower than the other cancels. Knows no
process: what runs a pair is given. Heats, looks and the time are those of `sweep.devices.measuring.duel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean

from sweep.devices.measuring.duel import Contestant, Taken

__all__ = ["PairRounds", "RunPair"]

RunPair = Callable[[tuple[int, int], tuple[int, int], tuple[int, int]], tuple[float, float]]
"""(indices of two contestants, calls of each, group of cores of each) -> seconds a call of each, at the same moment."""
_THERE, _SWAPPED = (0, 1), (1, 0)


class PairRounds:
    """Rounds side by side."""

    def __init__(self, run_pair: RunPair) -> None:
        self._run_pair = run_pair
        self._slot_s: Mapping[int, float] = {}

    def lasting(self, slot_s: Mapping[int, float], leader: int) -> Mapping[int, float]:
        """A pair lasts as long as the slower of the two; the leader has no slots but those of pairs."""
        self._slot_s = slot_s
        pairs = {index: max(each, slot_s[leader]) for index, each in slot_s.items() if index != leader}
        return {**pairs, leader: min(pairs.values())}

    def take(
        self, contestants: Mapping[int, Contestant], those: Sequence[int], numbers: Sequence[int], leader: int
    ) -> Iterator[Taken]:
        """Of the leader's, last, the mean of what it took beside the others."""
        beside = []
        for index in those:
            if index == leader:
                continue
            is_flushed = contestants[index].is_flushed
            calls = (1, 1) if is_flushed else (self._calls(index, leader, numbers), self._calls(leader, index, numbers))
            slots = [self._run_pair((index, leader), calls, groups) for groups in (_THERE, _SWAPPED)]
            own, leaders = zip(*slots, strict=True)
            beside.append(leaders)
            yield index, own, leaders
        if beside:
            means = [mean(slots) for slots in zip(*beside, strict=True)]
            yield leader, means, means

    def _calls(self, index: int, beside: int, numbers: Sequence[int]) -> int:
        """That last a slot, and about as long as a slot of the other one."""
        return max(numbers[index], round(numbers[index] * self._slot_s[beside] / self._slot_s[index]))
