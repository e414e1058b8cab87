"""What the tuning benchmarks count and cut: pure functions of logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tuning.pooled_plan import count_trials
from benchmarks.tuning.timeline import (
    Task,
    Trial,
    best_so_far,
    best_times,
    cut_database,
    per_minute,
    read_lines,
    valid_until,
)
from sweep.planning.results.compiling import LoweredTask

TASKS = [Task("a", "conv", 2), Task("b", "pool", 1)]
UNTUNED = {"a": 10.0, "b": 4.0}
TRIALS = [
    Trial("a", 101.0, (5.0, 3.0, 9.0)),
    Trial("a", 130.0, None),
    Trial("b", 150.0, (6.0,)),
    Trial("a", 160.0, (4.0,)),
    Trial("b", 221.0, (1.0,)),
]


def test_valid_candidates_alone_are_counted_and_only_in_their_minutes() -> None:
    assert valid_until(TRIALS, 100.0) == 0
    assert valid_until(TRIALS, 160.0) == 3
    assert per_minute(TRIALS, 100.0, 220.0) == pytest.approx(1.5)


def test_the_best_is_the_least_median() -> None:
    assert best_times(TRIALS) == {"a": 4.0, "b": 1.0}


def test_the_curve_starts_untuned_and_takes_a_tasks_best_trial_also_when_it_is_slower() -> None:
    steps = best_so_far(TRIALS, TASKS, UNTUNED, 100.0)
    assert steps == [(0.0, 24.0), (1.0, 14.0), (50.0, 16.0), (60.0, 14.0), (121.0, 9.0)]


def test_trials_of_other_models_are_no_part_of_the_curve() -> None:
    assert best_so_far([Trial("c", 101.0, (1.0,))], TASKS, UNTUNED, 100.0) == [(0.0, 24.0)]


@given(
    st.lists(
        st.builds(
            Trial,
            st.sampled_from("ab"),
            st.floats(100, 200),
            st.none() | st.lists(st.floats(0.1, 50), min_size=1, max_size=3),
        )
    )
)
def test_the_curve_ends_at_the_sum_of_the_best(trials: list[Trial]) -> None:
    best = {**UNTUNED, **best_times(trials)}
    assert best_so_far(trials, TASKS, UNTUNED, 100.0)[-1][1] == pytest.approx(2 * best["a"] + best["b"])


def test_a_database_is_cut_to_its_first_records_and_to_what_was_measured_again_by_then(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "database_workload.json").write_text('["w"]\n["v"]\n["to')
    (source / "database_tuning_record.json").write_text("[0, 1]\n[0, 2]\n[1, 3]\n")
    (source / "validations.jsonl").write_text('{"t": 5, "winner": 0}\n{"t": 9, "winner": 2}\n')
    cut_database(source, out, 2, 7.0)
    assert (out / "database_workload.json").read_text() == '["w"]\n["v"]\n'
    assert (out / "database_tuning_record.json").read_text() == "[0, 1]\n[0, 2]\n"
    assert (out / "validations.jsonl").read_text() == '{"t": 5, "winner": 0}\n'
    with pytest.raises(ValueError, match="has 3 records where the log has 4"):
        cut_database(source, out, 4, 7.0)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"t": 1}) + "\n" + '{"t": 2')
    assert list(read_lines(path)) == [{"t": 1}]
    assert list(read_lines(tmp_path / "none.jsonl")) == []


def test_a_pooled_plan_gives_each_workload_its_trials_once_a_target_and_a_trivial_one_a_single_one() -> None:
    def task(workload: str, trivial: bool = False) -> LoweredTask:
        return LoweredTask(workload, family=workload.rstrip("+"), trivial=trivial)

    lowerings = [
        ("x", [task("a"), task("b", trivial=True)]),
        ("x", [task("a"), task("c"), task("c+")]),
        ("y", [task("a")]),
    ]
    budget = count_trials(lowerings, 64)
    assert (budget.tasks, budget.workloads, budget.trivial) == (6, 5, 1)
    assert budget.families == 3
    assert budget.naive == 6 * 64
    assert budget.naive_trivial_once == 5 * 64 + 1
    assert budget.pooled == 3 * 64 + 2 + 1
