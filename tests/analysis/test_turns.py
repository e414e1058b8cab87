"""Ratios of networks that take turns, on simulated machines with other work on them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from sweep.analysis.statistics import Ratio, Verdict, judge
from sweep.analysis.turns import Look, huber, is_due, look_at, next_look

SLOT_S, BETWEEN_S, LOAD_S, LIMIT_S, ROUNDS = 0.02, 0.003, 0.5, 20.0, 5


class Machine:
    """Runs work at a rate that changes after 0.1 to 3 s, at random."""

    def __init__(self, seed: int, slow_rate: float, launches: float = 0.0) -> None:
        """launches: by how much a network is faster or slower each time that it is loaded (deviation of the log)."""
        self.draw, self.slow_rate, self.launches = np.random.default_rng(seed), slow_rate, launches
        self.now_s, self.ends_s, self.is_slow = 0.0, 0.0, False

    def load(self) -> float:
        """Gives by what factor it is slower until it is loaded again."""
        self.now_s += LOAD_S
        return math.exp(self.draw.normal(0, self.launches))

    def slot(self, seconds: float) -> float:
        work, begun_s = seconds * math.exp(self.draw.normal(0, 0.01)), self.now_s
        while work > 0:
            if self.now_s >= self.ends_s:
                self.ends_s, self.is_slow = self.now_s + self.draw.uniform(0.1, 3.0), not self.is_slow
            rate = self.slow_rate if self.is_slow else 1.0
            part = min(work / rate, self.ends_s - self.now_s)
            self.now_s, work = self.now_s + part, work - part * rate
            if work < 1e-12:
                break
        taken_s, self.now_s = self.now_s - begun_s, self.now_s + BETWEEN_S
        return taken_s


def duel(machine: Machine, ratio: float) -> Ratio:
    seconds: list[list[list[float]]] = [[], []]
    heats, look, due = 0, 0, next_look(0)
    while True:
        speeds = [machine.load(), ratio * machine.load()]
        for heat in seconds:
            heat.append([])
        for _ in range(ROUNDS):
            for index in (0, 1, 1, 0):
                seconds[index][-1].append(machine.slot(SLOT_S * speeds[index]))
        heats += 1
        if heats == due:
            look, due = look + 1, next_look(heats)
            found = look_at(seconds, [True, False], look)
            if found.is_decided:
                return found.ratios[1]
        if machine.now_s > LIMIT_S:
            return look_at(seconds, [True, False], look + 1, is_last=True).ratios[1]


def test_a_number_of_heats_tells_whether_the_time_was_over() -> None:
    assert [count for count in range(1, 22) if is_due(count)] == [4, 6, 9, 14, 21]


@pytest.mark.parametrize(
    ("slow_rate", "launches"),
    [(1.0, 0.0), (1 / 1.3, 0.0), (0.5, 0.0), (1.0, 0.01), (0.5, 0.01)],
    ids=["quiet", "two clocks", "bursts", "launches", "launches and bursts"],
)
def test_equal_networks_are_hardly_ever_told_apart_and_ten_percent_are_found(slow_rate: float, launches: float) -> None:
    equal = [duel(Machine(seed, slow_rate, launches), 1.0) for seed in range(30)]
    slower = [duel(Machine(seed, slow_rate, launches), 1.1) for seed in range(30)]

    assert sum(judge(ratio).verdict in (Verdict.FASTER, Verdict.SLOWER) for ratio in equal) <= 2
    assert Counter(judge(ratio).verdict for ratio in slower)[Verdict.SLOWER] >= 27
    for true, ratios in ((1.0, equal), (1.1, slower)):
        holding = [
            r for r in ratios if r.ci_low is not None and r.ci_high is not None and r.ci_low <= true <= r.ci_high
        ]
        assert len(holding) >= 28


def test_what_a_network_owes_to_how_it_was_loaded_is_not_its_own() -> None:
    """Loaded once, the many rounds of one heat tell the two apart, and are wrong: each has the speed of its launch."""
    machine = Machine(0, 1.0)
    heat = [[machine.slot(SLOT_S * speed) for _ in range(80)] for speed in (1.0, 1.04)]

    assert look_at([[heat[0]], [heat[1]]], [True, False], 1).ratios[1].ci_low > 1  # type: ignore[operator]
    heats = [[[1.0, 1.0] for _ in range(4)], [[speed, speed] for speed in (1.04, 0.97, 1.02, 0.98)]]
    low, high = (look_at(heats, [True, False], 1).ratios[1].ci_low, look_at(heats, [True, False], 1).ratios[1].ci_high)
    assert low is not None
    assert high is not None
    assert low < 1 < high


def test_networks_that_are_far_apart_are_not_compared_to_five_percent() -> None:
    """A third of the other's time is told with an interval of a quarter, at the first look; it holds the ratio."""
    machines = [Machine(seed, 0.5) for seed in range(30)]
    far = [duel(machine, 1 / 3) for machine in machines]

    assert sum(machine.now_s for machine in machines) / 30 < 8.0, "four heats"
    assert sum(r.ci_low is not None and r.ci_high is not None and r.ci_low <= 1 / 3 <= r.ci_high for r in far) >= 28
    assert all(judge(ratio).verdict is Verdict.FASTER for ratio in far)


def test_the_fastest_that_may_lead_leads() -> None:
    times = [[[2.0] * 10], [[1.0] * 10], [[0.5] * 10]]

    assert look_at(times, [True, True, False], 1).leader == 1
    assert [ratio.value for ratio in look_at(times, [True, True, False], 1).ratios] == pytest.approx([2.0, 1.0, 0.5])
    assert look_at(times, [False, False, False], 1).leader == 2


def test_one_that_did_not_go_on_is_compared_in_the_rounds_that_both_took() -> None:
    """Its five rounds were slow for all: what came after, which it did not take, says nothing of it."""
    leader = [[2.0] * 10, [1.0] * 10, [1.0] * 10]
    near = [[2.2, 2.1] * 5, [1.1, 1.05] * 5, [1.1, 1.05] * 5]
    behind = [[40.0] * 10]

    for order in ([leader, near, behind], [behind, leader, near]):
        look = look_at(order, [True] * 3, 4)
        at = order.index(behind)

        assert order[look.leader] is leader
        assert look.ratios[at].value == pytest.approx(20.0)
        assert look.behind == (at,)
    assert look_at([[behind[0][:4]], leader], [True, True], 3).behind == (0,), "no deviation at all"
    assert look_at([[[20.0, 30.0, 70.0, 80.0]], leader], [True, True], 3).behind == (), "two rounds tell little"


def test_drift_within_a_round_cancels() -> None:
    slots = np.exp(np.linspace(0, 1, 40)).reshape(10, 4)

    (_, ratio) = look_at([[slots[:, [0, 3]].ravel()], [slots[:, [1, 2]].ravel()]], [True, False], 1).ratios

    assert ratio.value == pytest.approx(1.0)


def test_what_outliers_there_are_is_forgiven() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.01, 200)
    values[::10] += 5.0

    centre, reach = huber(values, 0.99)

    assert abs(centre - 0.1) < 0.005
    assert reach < 0.005
    assert abs(values.mean() - 0.1) > 0.4


def test_values_that_follow_each_other_alike_count_less() -> None:
    draw = np.random.default_rng(0)
    alone = draw.normal(0, 1, 400)
    alike = np.repeat(draw.normal(0, 1, 20), 20)

    assert huber(alike, 0.95)[1] > 2 * huber(alone, 0.95)[1]


def test_of_one_round_there_is_no_interval_and_nothing_is_decided() -> None:
    found = look_at([[[1.0, 1.0]], [[9.0, 9.0]]], [True, False], 1)

    assert (found.ratios[1].ci_low, found.ratios[1].ci_high) == (None, None)
    assert not found.is_decided


def test_the_same_is_decided_as_well_as_the_different() -> None:
    one = Ratio(1.0, 1.0, 1.0)

    assert Look(0, (one, Ratio(1.0, 0.99, 1.01), Ratio(2.0, 1.98, 2.02))).is_decided
    assert not Look(0, (one, Ratio(1.03, 0.99, 1.07))).is_decided
    assert not Look(0, (one, Ratio(2.0, 1.5, 2.5))).is_decided, "told apart, but not by how much"


def test_looks_are_at_fixed_numbers_of_heats() -> None:
    looks = [next_look(0)]
    for _ in range(5):
        looks.append(next_look(looks[-1]))
    assert looks == [4, 6, 9, 14, 21, 32]
