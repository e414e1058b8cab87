"""What a pool may spend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.planning.trial_limits import RELATIVE_TRIALS
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.pool.budget import TuningBudget

TASKS = [TuningTask(name, name, 1, name.islower(), Path(f"{name}.json")) for name in "ABc"]


def budget(members: int = 1, **options: Any) -> TuningBudget:
    return TuningBudget(TuneJob("tune", TASKS, "xgb", "d", options, members))


def test_a_trivial_task_has_one_trial_and_any_other_its_limit() -> None:
    assert [budget(trials_per_task=64).limit_of(task) for task in TASKS] == [64, 64, 1]
    assert [budget(trials_per_task=3, round=16).first_round_of(task) for task in TASKS] == [3, 3, 1]
    assert budget(trials_per_task=64, round=16).first_round_of(TASKS[0]) == 8


def test_a_task_whose_relative_has_its_limit_has_a_few_unless_there_is_no_limit() -> None:
    assert budget(trials_per_task=64).led_limit_of(TASKS[0]) == RELATIVE_TRIALS
    assert budget(trials_per_task=1).led_limit_of(TASKS[0]) == 1
    unlimited = budget(trials_total=100)
    assert unlimited.led_limit_of(TASKS[0]) == unlimited.limit_of(TASKS[0])


def test_a_total_opens_as_its_sharers_join() -> None:
    shared = budget(members=4, trials_total=100)
    shared.join()
    assert shared.trials_left(spent=10) == 15
    for _ in range(3):
        shared.join()
    assert shared.trials_left(spent=10) == 90
    assert shared.trials_left(spent=120) == 0


def test_time_ends_what_trials_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    timed = budget(hours=0.01)
    timed.join()
    assert timed.seconds_left() == pytest.approx(36.0)
    assert timed.trials_left(spent=10**6) > 0
    now[0] += 36.5
    assert timed.is_out_of_time()
    assert timed.trials_left(spent=0) == 0
    assert budget(trials_total=5).seconds_left() is None


def test_a_run_without_time_cuts_a_tuner_short_and_its_own_hours_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def limited(limit_s: float, **options: Any) -> TuningBudget:
        return TuningBudget(TuneJob("tune", TASKS, "xgb", "d", options, 2, limit_s=limit_s))

    run, own = limited(10.0, trials_per_task=64), limited(60.0, hours=10.0 / 3600)
    for shared, left_s in ((run, 10.0), (own, 60.0)):
        shared.join(left_s)
        assert shared.is_timed
        assert shared.seconds_left() == pytest.approx(10.0)
    now[0] += 8.0
    run.join(4.0)  # the last one's share is the pool's
    now[0] += 3.0
    assert (run.is_out_of_time(), own.is_out_of_time()) == (False, True)
    now[0] += 2.0
    assert run.trials_left(spent=0) == 0
    assert (run.is_cut_short, own.is_cut_short) == (True, False)
    assert run.naive_trials(TASKS) == 64 + 64 + 1


def test_towards_its_end_no_more_is_under_way_than_will_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    timed = budget(hours=1 / 60)
    now[0] += 20.0
    assert timed.answers_in_time(trials=10) == pytest.approx(40.0 * 10 / 20)
    now[0] += 40.0
    assert timed.answers_in_time(trials=90) == 0.0
    assert budget(trials_total=5).answers_in_time(trials=1) == float("inf")


@pytest.mark.parametrize(
    ("options", "naive"),
    [
        ({"trials_per_task": 64}, 64 + 64 + 1),
        ({"trials_total": 120}, 20 + 20 + 1),
        ({"hours": 1.0, "trials_per_task": 64}, None),
    ],
)
def test_a_loop_over_models_would_spend(options: dict[str, Any], naive: int | None) -> None:
    assert budget(members=2, **options).naive_trials(TASKS) == naive
