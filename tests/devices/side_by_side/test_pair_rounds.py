"""The rounds of a final side by side, with contestants, cores and a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from sweep.analysis.turns import look_at
from sweep.devices.measuring.duel import Contestant, Duel, TakenRounds
from sweep.devices.side_by_side.pair_rounds import PairRounds


class Cores:
    """Two groups, of which the second takes so many times as long; contestants take so many seconds a call on the
    first one. A pair takes as long as the slower of the two.
    """

    def __init__(
        self, *seconds: float, second_group: float = 1.0, factor: Callable[[int, int], float] = lambda index, heat: 1.0
    ) -> None:
        """factor: of a contestant's time beside another, by heat from 0."""
        self.now_s, self.seconds, self.slowness, self.factor = 0.0, seconds, (1.0, second_group), factor
        self.heats: list[list[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]] = []
        """The pairs of each heat, their calls and their groups."""

    def hold(
        self,
        limit_s: float,
        leaders: int = 1,
        *,
        is_flushed: bool = False,
        lost: Collection[tuple[int, int]] = (),
    ) -> TakenRounds:
        """leaders: how many may lead. lost: (heat, index) of what cannot be loaded."""
        may_lead = [index < leaders for index in range(len(self.seconds))]
        duel = Duel(may_lead, limit_s, lambda: self.now_s, PairRounds(self._run))
        while asked := duel.next_heat():
            loaded = [index for index in asked if (len(self.heats), index) not in lost]
            self.heats.append([])
            duel.take_heat({index: Contestant(self._clock_of(index), is_flushed) for index in loaded}, list)
        return duel.taken

    def pairs(self, first: int = 0, end: int | None = None) -> set[tuple[int, int]]:
        return {pair for heat in self.heats[first:end] for pair, _, _ in heat}

    def _run(self, pair: tuple[int, int], numbers: tuple[int, int], groups: tuple[int, int]) -> tuple[float, float]:
        heat = self.heats[-1]
        heat.append((pair, numbers, groups))
        first, second = (
            self.seconds[one] * self.slowness[group] * self.factor(one, len(self.heats) - 1) * (1 + len(heat) % 3)
            for one, group in zip(pair, groups, strict=True)
        )
        self.now_s += max(first * numbers[0], second * numbers[1])
        return first, second

    def _clock_of(self, index: int) -> Callable[[int, int], list[float]]:
        return lambda number, repeat: [self.seconds[index]] * repeat


def _rounds(taken: TakenRounds) -> list[list[int]]:
    return [[len(slots) // 2 for slots in heats] for heats in taken.run_secs]


def _ratios(taken: TakenRounds, leaders: int = 1) -> list[float]:
    compared = [taken.compared(index) for index in range(len(taken.run_secs))]
    return [one.value for one in look_at(compared, [at < leaders for at in range(len(compared))], taken.looks).ratios]


def test_a_pair_changes_its_cores_within_a_round_so_that_slower_ones_favour_nobody() -> None:
    """Nor does what slows both threefold in one of three slots."""
    cores = Cores(0.02, 0.022, second_group=1.7)
    taken = cores.hold(60.0)

    assert [groups for _, _, groups in cores.heats[0]] == [(0, 1), (1, 0)] * 5
    assert _ratios(taken) == pytest.approx([1.0, 1.1])
    assert taken.is_decided
    assert _rounds(taken) == [[5] * 4] * 2
    assert taken.run_secs[0] == taken.leader_secs[0] == taken.leader_secs[1]


def test_the_fastest_that_may_lead_runs_beside_each_of_the_others() -> None:
    cores = Cores(0.025, 0.02, 0.01)
    taken = cores.hold(60.0, leaders=2)

    assert cores.pairs() == {(0, 1), (2, 1)}
    assert _ratios(taken, leaders=2) == pytest.approx([1.25, 1.0, 0.5])


def test_one_that_turns_out_to_be_faster_leads_from_the_next_look_on() -> None:
    """The second is faster beside others than alone; the third differs from heat to heat."""
    cores = Cores(0.02, 0.0201, 0.0205, factor=lambda index, heat: (1.0, 0.9, 1.3 if heat % 2 else 0.7)[index])
    taken = cores.hold(12.0, leaders=2)

    assert cores.pairs(0, 4) == {(1, 0), (2, 0)}, "until the first look, after four heats"
    assert cores.pairs(4) == {(0, 1), (2, 1)}
    assert _ratios(taken, leaders=2)[:2] == pytest.approx([0.02 / (0.9 * 0.0201), 1.0])


def test_where_the_leader_cannot_be_loaded_again_the_next_one_leads() -> None:
    cores = Cores(0.02, 0.021, 0.03)
    taken = cores.hold(60.0, leaders=2, lost=[(2, 0)])

    assert cores.pairs(0, 2) == {(1, 0), (2, 0)}
    assert cores.pairs(2) == {(2, 1)}
    assert _ratios(taken, leaders=2) == pytest.approx([1.0, 1.05, 1.5])


def test_slots_of_a_pair_last_as_long_as_each_other() -> None:
    cores = Cores(0.002, 0.3)
    cores.hold(20.0)

    (pair, numbers, _), *_ = cores.heats[0]
    assert pair == (1, 0)
    assert numbers == (1, 150)


def test_caches_are_emptied_before_each_call_where_that_is_asked_for() -> None:
    cores = Cores(0.002, 0.3)

    assert cores.hold(2.0, is_flushed=True).numbers == [1, 1]
    assert {numbers for _, numbers, _ in cores.heats[0]} == {(1, 1)}


def test_a_pair_that_lasts_far_longer_runs_once_a_heat_within_its_share() -> None:
    cores = Cores(0.02, 0.0201, 40.0)
    taken = cores.hold(4.0)

    of_leader, of_near, of_far = _rounds(taken)
    assert of_far == [1]
    assert len(of_near) > 1
    assert of_leader == [of_near[0] + 1, *of_near[1:]], "and the leader runs beside that one, too"


def test_a_leader_that_is_slower_than_all_others_has_as_many_rounds_with_each() -> None:
    """Each pair lasts as long as the leader."""
    assert _rounds(Cores(0.5, 0.02, 0.05).hold(200.0)) == [[5] * 4] * 3


def test_beside_a_far_slower_one_alone_the_leader_goes_on() -> None:
    """The second is behind beyond doubt at the first look; the third differs from heat to heat."""
    cores = Cores(0.02, 0.04, 0.3, factor=lambda index, heat: 4.0 if index == 2 and heat % 2 else 1.0)
    taken = cores.hold(60.0)

    assert cores.pairs(4) == {(2, 0)}
    assert len(cores.heats) > 4
    assert _rounds(taken) == [[6] * 4 + [1] * (len(cores.heats) - 4), [5] * 4, [1] * len(cores.heats)]
