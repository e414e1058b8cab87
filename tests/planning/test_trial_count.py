"""Trials of a plan, with and without the sharing of workloads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweep.planning.planner import make_plan
from sweep.planning.results.compiling import LoweredTask
from sweep.planning.stage import Plan
from sweep.planning.summary import explain
from sweep.planning.trial_count import count_trials
from sweep.planning.trial_limits import ASSUMED_TASKS, RELATIVE_TRIALS
from sweep.study.spec import TunerSpec
from tests.planning.grids import cluster, device, model, study


def planned(options: dict[str, Any], devices: int = 1) -> Plan:
    """Two networks at two levels, tuned on each device with its own target."""
    boards = [device(f"d{index}", mcpu=("core-avx2", "skylake-avx512")[index]) for index in range(devices)]
    grid = study(models=(model("a"), model("b")), tuners=(TunerSpec("t", "ga", options),), opt_levels=(1, 3))
    return make_plan(grid, cluster(*boards))


def tasks(*workloads: str) -> list[LoweredTask]:
    """Tasks of these workloads; those in small letters are trivial."""
    return [LoweredTask(name, trivial=name.islower()) for name in workloads]


def lower_stages(plan: Plan) -> list[str]:
    return [stage.id for stage in plan.stages.values() if stage.kind == "lower"]


PER_TASK = planned({"trials_per_task": 10})
ALL = dict(zip(lower_stages(PER_TASK), [tasks("A", "B", "c")] * 2 + [tasks("A", "D")] * 2, strict=True))


def test_each_network_is_assumed_to_be_like_no_other_until_it_is_lowered() -> None:
    count = count_trials(PER_TASK)
    assert (count.to_do, count.pooled, count.naive) == (40 * ASSUMED_TASKS,) * 3
    assert (count.networks, count.networks_known) == (4, 0)


def test_a_workload_of_several_networks_is_counted_once_and_a_trivial_one_as_one_trial() -> None:
    count = count_trials(PER_TASK, lowered=ALL)
    assert count.pooled == count.to_do == 3 * 10 + 1
    assert count.naive == 2 * (10 + 10 + 1) + 2 * (10 + 10)
    assert count.networks_known == 4


def test_relatives_are_counted_with_the_few_trials_that_they_have() -> None:
    plan = planned({"trials_per_task": 10})
    first, second, *others = lower_stages(plan)
    families = {"A": "f", "A with relu": "f", "B": "g"}
    given = [replace(task, family=families[task.workload]) for task in tasks("A", "A with relu", "B")]
    lowered = {first: given[:1], second: given, **{key: [] for key in others}}
    count = count_trials(plan, lowered=lowered)
    assert (count.pooled, count.naive) == (10 + RELATIVE_TRIALS + 10, 10 + 30)
    tuned = {stage.id for stage in plan.stages.values() if stage.kind == "tune" and first in stage.inputs}
    assert count_trials(plan, tuned, lowered).to_do == RELATIVE_TRIALS + 10
    timed = planned({"trials_per_task": 10, "hours": 1})
    by_stage = dict(zip(lower_stages(timed), lowered.values(), strict=True))
    assert count_trials(timed, lowered=by_stage).pooled == 30  # each is searched by itself: its leader may never end
    few = planned({"trials_per_task": 1})
    assert count_trials(few, lowered=dict(zip(lower_stages(few), lowered.values(), strict=True))).pooled == 3


def test_what_is_lowered_is_exact_and_the_rest_assumed() -> None:
    first, second, *_ = lower_stages(PER_TASK)
    count = count_trials(PER_TASK, lowered={first: tasks("A"), second: tasks("A", "B")})
    assert count.pooled == 20 + 2 * 10 * ASSUMED_TASKS
    assert count.naive == 30 + 2 * 10 * ASSUMED_TASKS


def test_targets_share_nothing() -> None:
    plan = planned({"trials_per_task": 10}, devices=2)
    count = count_trials(plan, lowered=dict.fromkeys(lower_stages(plan), tasks("A")))
    assert (count.pooled, count.naive) == (20, 80)


def test_a_stage_that_is_done_leaves_its_workloads_to_nobody() -> None:
    lower = lower_stages(PER_TASK)[0]
    tune = next(s.id for s in PER_TASK.stages.values() if s.kind == "tune" and lower in s.inputs)
    count = count_trials(PER_TASK, {tune}, ALL)
    assert count.to_do == 10  # D alone
    assert count.pooled == 31


@pytest.mark.parametrize(("options", "most"), [({"trials_total": 25}, 25), ({"hours": 0.01}, 90)])
def test_limits_of_a_pool_hold_for_all_its_networks_together(options: dict[str, Any], most: int) -> None:
    plan = planned({"trials_per_task": 10, **options})
    assert count_trials(plan, lowered=dict.fromkeys(lower_stages(plan), tasks(*"ABCDEFGHIJ"))).pooled == most


def test_the_plan_says_so_in_words_and_numbers() -> None:
    summary = explain(PER_TASK, lowered=ALL)
    assert "tuning: up to 31 trials, 82 in a loop over the cells; tasks of all networks are known" in summary.notes
    assert summary.as_dict()["naive_trials"] == 82
    assert summary.as_dict()["pooled_trials"] == 31
    first = lower_stages(PER_TASK)[0]
    assert any(
        "each of the 3 networks not lowered yet" in note for note in explain(PER_TASK, lowered={first: []}).notes
    )
