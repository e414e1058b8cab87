"""Where the next trials go: everybody first, then to where most is gained, and to nobody who cannot gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.search.allocation import FEW_TRIALS, Roof, TaskProgress, next_round, next_task, weigh

ROUND, FIRST = 16, 8
Curve = Callable[[int], float | None]
"""Seconds of a task's n-th trial; None where it fails."""


def task(name: str, weight: float = 1.0, flops: float = 1e9, cap: int = 10**6, first: int = FIRST) -> TaskProgress:
    return TaskProgress(name, weight, flops, cap, first)


def spend(tasks: Sequence[TaskProgress], curves: dict[str, Curve], budget: int) -> Iterator[TaskProgress]:
    """Give a budget away with results at once; yields the task of each round."""
    while chosen := next_round(tasks, ROUND, budget - sum(one.trials for one in tasks)):
        one, count = chosen
        for _ in range(count):
            one.add(curves[one.workload](one.trials))
        yield one


def falling(start: float, floor: float = 0.1, pace: float = 20.0) -> Curve:
    return lambda n: start * (floor + (1 - floor) * math.exp(-n / pace))


def total(tasks: Sequence[TaskProgress]) -> float:
    return sum(one.weight * one.best_s for one in tasks)


# -- coverage ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=20), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_any_budget_of_a_trial_a_task_reaches_every_task(weights: list[float], more: int) -> None:
    tasks = [task(str(n), weight) for n, weight in enumerate(weights)]
    budget = len(tasks) + more
    rounds = list(spend(tasks, {one.workload: falling(1.0) for one in tasks}, budget))
    assert all(math.isfinite(one.best_s) for one in tasks)
    assert sum(one.trials for one in tasks) == budget
    assert len({one.workload for one in rounds[: len(tasks)]}) == len(tasks)  # nobody has a second round before


def test_every_task_is_reached_also_when_results_come_late() -> None:
    tasks = [task(str(n), 10.0 ** (3 - n)) for n in range(4)]
    given_out = []
    while chosen := next_round(tasks, ROUND, 40 - sum(one.in_flight for one in tasks)):
        chosen[0].in_flight += chosen[1]
        given_out.append((chosen[0].workload, chosen[1]))
    first, rest = [(str(n), 1) for n in range(4)], [(str(n), FIRST - 1) for n in range(4)]
    assert given_out == first + rest  # and then it waits: a second round would know nothing


def test_the_costly_ones_come_first() -> None:
    tasks = [task("light", 1.0), task("heavy", 9.0), task("long", 1.0, flops=4e9)]
    order = [one.workload for one in spend(tasks, {one.workload: falling(1.0) for one in tasks}, 24)]
    assert order[:3] == ["heavy", "long", "light"]


# -- gain -------------------------------------------------------------------------------------------------------------


def test_the_budget_goes_to_the_heavier_task() -> None:
    tasks = [task("light", 1.0), task("heavy", 20.0)]
    list(spend(tasks, {"light": falling(1.0), "heavy": falling(1.0)}, 128))
    light, heavy = tasks
    assert heavy.trials > 3 * light.trials
    assert light.trials > FIRST


def test_the_budget_goes_to_the_task_that_still_improves() -> None:
    tasks = [task("flat"), task("steep")]
    list(spend(tasks, {"flat": lambda n: 1.0, "steep": lambda n: 0.99**n}, 128))
    assert tasks[1].trials > tasks[0].trials


def test_among_equals_it_goes_to_the_least_efficient() -> None:
    tasks = [task("fast", flops=4e9), task("slow", flops=1e9)]
    list(spend(tasks, {"fast": lambda n: 1.0, "slow": lambda n: 1.0}, 64))
    assert tasks[1].trials > tasks[0].trials


def test_no_task_is_shut_out_for_good() -> None:
    tasks = [task("small", 0.01), task("large", 1.0)]
    list(spend(tasks, {"small": falling(1.0), "large": lambda n: 1.0}, 20_000))
    assert tasks[0].trials > FIRST


def test_a_settled_task_and_one_at_its_cap_get_none() -> None:
    settled, capped, open_one = task("settled", 100.0), task("capped", 100.0, cap=3), task("open")
    settled.is_settled = True
    list(spend([settled, capped, open_one], {"capped": falling(1.0), "open": falling(1.0)}, 100))
    assert (settled.trials, capped.trials, open_one.trials) == (0, 3, 97)
    open_one.is_settled = True
    assert next_round([settled, capped, open_one], ROUND, 100) is None


def test_what_was_measured_before_counts() -> None:
    done = TaskProgress("done", 1.0, 1e9, cap=32, first=FIRST, trials=32, best_s=1.0)
    half = TaskProgress("half", 1.0, 1e9, cap=32, first=FIRST, trials=16, best_s=1.0)
    assert next_round([done, half], ROUND, 100) == (half, 16)


def test_a_round_is_no_larger_than_what_is_left() -> None:
    one = TaskProgress("one", 1.0, 1e9, cap=100, first=FIRST, trials=16, best_s=1.0)
    assert next_round([one], ROUND, 5) == (one, 5)
    assert next_round([one], ROUND, 0) is None
    one.in_flight = ROUND
    assert next_task([one], ROUND) is None


@pytest.mark.parametrize("weight", [0.01, 1.0, 100.0])
def test_a_task_whose_trials_all_fail_does_not_starve_the_others(weight: float) -> None:
    tasks = [task("fails", weight), task("a"), task("b")]
    curves: dict[str, Curve] = {"fails": lambda n: None, "a": falling(1.0), "b": falling(1.0)}
    order = [one.workload for one in spend(tasks, curves, 200)]
    assert set(order[:3]) == {"fails", "a", "b"}
    assert tasks[0].trials <= 4 * FIRST
    assert tasks[1].trials + tasks[2].trials >= 200 - 4 * FIRST


def test_tasks_that_all_fail_use_their_caps_up_and_no_more() -> None:
    tasks = [task("a", cap=40), task("b", cap=40)]
    list(spend(tasks, {"a": lambda n: None, "b": lambda n: None}, 1000))
    assert [one.trials for one in tasks] == [40, 40]


def test_a_share_of_a_small_model_is_worth_as_much_as_one_of_a_large_one() -> None:
    small, large, both = (
        TaskProgress(name, 1.0, 0.0, 100, FIRST, 8, best) for name, best in zip("slb", (1, 50, 9), strict=True)
    )
    weigh([{"s": 1.0, "b": 1.0}, {"l": 1.0, "b": 2.0}], {one.workload: one for one in (small, large, both)})
    assert [one.weight for one in (small, large, both)] == pytest.approx([1 / 10, 1 / 68, 1 / 10 + 2 / 68])
    assert [one.share for one in (small, large, both)] == pytest.approx([1 / 10, 50 / 68, 9 / 10])


def test_a_task_without_a_time_counts_by_its_operations() -> None:
    one = task("one", flops=1e10)
    weigh([{"one": 3.0}], {"one": one})
    assert one.weight == pytest.approx(1.0)
    none = task("none", flops=0.0)
    weigh([{"none": 2.0}], {"none": none})
    assert (none.weight, none.share) == (2.0, 0.0)


def test_where_time_is_the_budget_cheap_trials_come_first() -> None:
    slow, quick = task("slow"), task("quick")
    slow.cost_s, quick.cost_s = 1.0, 0.1
    list(spend([slow, quick], {"slow": falling(1.0), "quick": falling(1.0)}, 128))
    assert quick.trials > slow.trials


# -- where the time is ------------------------------------------------------------------------------------------------


def searched(
    network: dict[str, tuple[float, float, float]],
    leader_of: dict[str, str],
    seconds: float,
    passed_over: list[str] | None = None,
) -> dict[str, TaskProgress]:
    """Tune a network for so many seconds. network: time of a first schedule, share of it that is left in the end, and
    seconds of a trial, of each task. passed_over: is given the tasks that were neglected when one below 0.5 % of the
    time got more than its first trial.
    """
    tasks = {name: task(name, flops=start * 1e11 * left) for name, (start, left, _) in network.items()}
    for name, leader in leader_of.items():
        tasks[name].follow(tasks[leader], 10**6)
    spent = 0.0
    while spent < seconds:
        weigh([dict.fromkeys(network, 1.0)], tasks)
        for name, (_, _, cost) in network.items():
            tasks[name].cost_s = cost
        chosen = next_round(tasks.values(), ROUND, 10**9)
        if chosen is None:
            break
        one, count = chosen
        if passed_over is not None and one.trials and one.share < 0.005:
            passed_over += few_trials(tasks, 16)
        start, left, cost = network[one.workload]
        for _ in range(count):
            one.add(falling(start, left)(one.trials))
            spent += cost
    weigh([dict.fromkeys(network, 1.0)], tasks)
    return tasks


def neglected_for(tasks: dict[str, TaskProgress]) -> list[str]:
    """Tasks of 2 % or more of the time with fewer than 16 trials and far from the roof, while one below 0.5 % has more
    than them, and more than the first, which tells how large it is.
    """
    most = max((one.trials for one in tasks.values() if one.share < 0.005 and one.trials > 1), default=0)
    return few_trials(tasks, min(16, most))


def few_trials(tasks: dict[str, TaskProgress], enough: int) -> list[str]:
    """Tasks of 2 % or more of the time with fewer trials than that, and far from the roof."""
    roof = Roof.over(tasks.values())
    return [
        name
        for name, one in tasks.items()
        if one.share >= 0.02 and one.trials < enough and (one.efficiency(roof) or 0.0) < 0.9
    ]


def test_trials_go_where_the_time_is_though_they_are_slow() -> None:
    """As in a VGG: the largest task had 5 trials, at 60 GFLOP/s, and a matrix product of 0.1 % of the time had 56."""
    network = {
        "conv of a third": (0.33, 0.3, 3.0), "conv of a fifth": (0.18, 0.3, 2.0), "conv": (0.12, 0.4, 1.5),
        **{f"product {number}": (0.001, 0.2, 0.02) for number in range(6)},
    }  # fmt: skip
    tasks = searched(network, {}, 260.0)
    assert neglected_for(tasks) == []
    assert all(tasks[name].trials >= FEW_TRIALS for name in list(network)[:3])


def test_a_slow_relative_is_searched_itself_where_time_is_the_budget() -> None:
    """As in a ShuffleNet: half of the time was in relatives with one trial each, their leaders never being over."""
    network = {"leader": (0.02, 0.3, 0.1), **{f"led {number}": (0.3, 0.1, 0.4) for number in range(3)}}
    tasks = searched(network, dict.fromkeys(list(network)[1:], "leader"), 60.0)
    roof = Roof.over(tasks.values())
    assert all(one.trials >= FEW_TRIALS or (one.efficiency(roof) or 0.0) >= 0.9 for one in tasks.values())
    assert sum(one.trials for one in tasks.values()) > 100


@given(
    st.dictionaries(
        st.sampled_from("abcdefghijkl"),
        st.tuples(st.floats(1e-4, 1.0), st.floats(0.05, 1.0), st.floats(0.02, 3.0)),
        min_size=2,
    ),
    st.floats(1.0, 300.0),
)
def test_no_task_that_takes_the_time_is_left_for_those_that_take_none(
    network: dict[str, tuple[float, float, float]], seconds: float
) -> None:
    """By what is known when a round is given: shares and the roof move with every trial."""
    passed_over: list[str] = []
    searched(network, {}, seconds, passed_over)
    assert passed_over == []


def test_a_task_at_the_roof_of_the_memory_needs_no_more_trials() -> None:
    compute = TaskProgress("compute", 1.0, 1e9, 100, FIRST, 8, 0.01, traffic=1e6, share=0.5)
    memory = TaskProgress("memory", 1.0, 1e7, 100, FIRST, 8, 0.01, traffic=1e8, share=0.5)
    roof = Roof.over([compute, memory])
    assert (compute.efficiency(roof), memory.efficiency(roof)) == (1.0, 1.0)
    assert not memory.is_neglected(roof)
    assert memory.is_neglected(Roof(1e11, 1e11))
    assert TaskProgress("unknown", 1.0, 0.0, 100, FIRST, 8, 0.01).efficiency(roof) is None


# -- relatives --------------------------------------------------------------------------------------------------------


def led(leader: TaskProgress, name: str = "led", cap: int = 2) -> TaskProgress:
    one = task(name, cap=leader.cap)
    one.follow(leader, cap)
    return one


def test_a_relative_has_one_trial_when_its_leader_has_a_schedule_and_one_when_it_is_done() -> None:
    leader = task("leader", cap=40)
    one = led(leader)
    order = [chosen.workload for chosen in spend([leader, one], {"leader": falling(1.0), "led": falling(1.0)}, 1000)]
    assert order[:2] == ["leader", "led"]
    assert order[-1] == "led"
    assert (leader.trials, one.trials) == (40, 2)


def test_a_relative_waits_while_its_leader_has_no_result() -> None:
    leader = task("leader", cap=40)
    one = led(leader)
    assert next_round([leader, one], ROUND, 100) == (leader, 1)
    leader.in_flight = FIRST
    assert next_round([leader, one], ROUND, 100) is None
    assert one.room  # it is not done: its model must not end without it
    leader.add(1.0)
    leader.in_flight -= 1
    assert next_round([leader, one], ROUND, 1) == (one, 1)


def test_a_relative_of_one_that_always_fails_is_searched_itself() -> None:
    leader = task("leader", cap=12)
    one = led(leader)
    list(spend([leader, one], {"leader": lambda n: None, "led": falling(1.0)}, 1000))
    assert (leader.trials, one.trials) == (12, 12)


def test_a_relative_without_a_limit_begins_with_what_its_leader_found_and_goes_on() -> None:
    leader = task("leader")
    one = led(leader, cap=10**6)
    assert one.first == 1
    list(spend([leader, one], {"leader": falling(1.0), "led": falling(1.0)}, 400))
    assert one.trials > 50


# -- the whole --------------------------------------------------------------------------------------------------------


def skewed(seed: int) -> tuple[list[TaskProgress], dict[str, Curve]]:
    """Twenty tasks, of which few make up most of the time, each with a falling curve and noise."""
    rng = np.random.default_rng(seed)
    tasks = [task(str(n), float(rng.pareto(1.0) + 0.1), flops=float(rng.uniform(1e8, 4e9))) for n in range(20)]
    curves: dict[str, Curve] = {}
    for one in tasks:
        fall = falling(one.flops / 1e9, floor=float(rng.uniform(0.1, 0.6)), pace=float(rng.uniform(5, 60)))
        noise = rng.lognormal(0.3, 0.3, 3000)
        curves[one.workload] = lambda n, fall=fall, noise=noise: fall(n) * float(noise[n])  # type: ignore[misc]
    return tasks, curves


@pytest.mark.parametrize("seed", range(4))
def test_more_budget_is_never_worse(seed: int) -> None:
    reached = []
    for budget in (20, 23, 50, 100, 160, 161, 200, 400, 800):
        tasks, curves = skewed(seed)
        list(spend(tasks, curves, budget))
        assert sum(one.trials for one in tasks) == budget
        reached.append(total(tasks))
    assert all(math.isfinite(one) for one in reached)
    assert reached == sorted(reached, reverse=True)


@pytest.mark.parametrize("budget", [320, 640])
def test_it_beats_an_even_share(budget: int) -> None:
    ratios = []
    for seed in range(8):
        tasks, curves = skewed(seed)
        list(spend(tasks, curves, budget))
        even, _ = skewed(seed)
        for one in even:
            for n in range(budget // len(even)):
                one.add(curves[one.workload](n))
        ratios.append(total(tasks) / total(even))
    assert np.median(ratios) < 0.97
    assert max(ratios) < 1.05
