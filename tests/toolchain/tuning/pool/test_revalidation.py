"""The best candidates of a task are measured again in turns before one is chosen, and the build applies that choice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import DeviceLost, MeasureFailed
from sweep.toolchain.best_records import BestRecords
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.trial_logs import read_trials, read_validations
from tests.toolchain.tuning.conftest import ChosenLaboratory, job_of, tuner_at

MS = 1e-3


def lucky(number: int) -> list[float]:
    """The second trial seems best, the fourth is close, the rest are out of the question."""
    return [{2: 1.0 * MS, 4: 1.1 * MS}.get(number, 9.0 * MS)] * 3


def truth(number: int) -> list[float]:
    """Of the contenders, best first by their first times: the first was luck."""
    return [[2.0 * MS, 2.1 * MS, 2.0 * MS, 1.9 * MS, 2.0 * MS], [1.2 * MS, 1.2 * MS, 1.3 * MS, 1.1 * MS, 1.2 * MS]][
        number
    ]


def honest(answer: Any = lucky, again: Any = truth) -> ChosenLaboratory:
    laboratory = ChosenLaboratory(answer)
    laboratory.again = again
    return laboratory


class Losing(ChosenLaboratory):
    """Every comparison fails."""

    error: Exception

    def compare(
        self, candidates: Sequence[tuple[Path, list[dict[str, Any]]]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        super().compare(candidates, options)
        future: Future[dict[str, Any]] = Future()
        future.set_exception(self.error)
        return future


def test_the_winner_by_interleaved_median_replaces_a_lucky_first_time(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = honest()
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert laboratory.compared == [2]
    task = result["tasks"][0]
    assert (task["best_s"], task["screening_s"]) == (1.2 * MS, 1.0 * MS)
    assert task["gap"] == pytest.approx(1 - 1.1 / 1.2, abs=1e-5)
    assert result["validate_s"] > 0
    (validation,) = read_validations(tmp_path)
    trials = {trial.record: trial for trial in read_trials(tmp_path)}
    assert trials[validation.winner].trial == 4
    assert [one["screening_s"] for one in validation.contenders] == [1.0 * MS, 1.1 * MS]
    for one in validation.contenders:
        assert one["ci_low_s"] <= one["median_s"] <= one["ci_high_s"]
        assert len(one["run_secs"]) == 5
        assert trials[one["record"]].trace_hash == one["trace_hash"]


def applied(folder: Path, scratch: Path) -> list[str]:
    scratch.mkdir()
    BestRecords(folder, scratch)
    return (scratch / "database_tuning_record.json").read_text(encoding="utf-8").splitlines()


def test_the_build_applies_what_won(tasks: list[TuningTask], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    tuner_at(folder).tune(job_of(tasks[:1]), honest(), lambda info: None)
    lines = (folder / "database_tuning_record.json").read_text(encoding="utf-8").splitlines()
    (validation,) = read_validations(folder)
    assert applied(folder, tmp_path / "a") == [lines[validation.winner]]
    (folder / "validations.jsonl").unlink()
    (chosen,) = applied(folder, tmp_path / "b")
    assert json.loads(chosen)[1][1] == [1.0 * MS] * 3


class LosingOnce(ChosenLaboratory):
    """The first comparison is lost with its board."""

    def compare(
        self, candidates: Sequence[tuple[Path, list[dict[str, Any]]]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        answer = super().compare(candidates, options)
        if len(self.compared) == 1:
            answer = Future()
            answer.set_exception(DeviceLost("gone"))
        return answer


def test_a_comparison_that_is_lost_with_its_board_is_held_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = LosingOnce(lucky)
    laboratory.again = truth
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert laboratory.compared == [2, 2]
    assert result["tasks"][0]["best_s"] == 1.2 * MS
    assert len(list(read_validations(tmp_path))) == 1


@pytest.mark.parametrize(("error", "tries"), [(MeasureFailed("the worker crashed"), 1), (DeviceLost("gone"), 2)])
def test_a_comparison_that_fails_leaves_the_choice(
    error: Exception, tries: int, tasks: list[TuningTask], tmp_path: Path
) -> None:
    laboratory = Losing(lucky)
    laboratory.error = error
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert laboratory.compared == [2] * tries
    assert (result["tasks"][0]["best_s"], result["tasks"][0]["gap"]) == (1.0 * MS, None)
    assert not list(read_validations(tmp_path))
    assert not list(tmp_path.glob("candidates-*"))


def test_a_bug_in_a_comparison_is_none_of_the_candidates_faults(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = Losing(lucky)
    laboratory.error = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert not list(tmp_path.glob("candidates-*"))


def test_contenders_whose_libraries_are_gone_are_built_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    """The comparison had failed; a tuner that finds the records later makes up for it without a trial."""
    losing = Losing(lucky)
    losing.error = DeviceLost("gone")
    tuner_at(tmp_path).tune(job_of(tasks[:1]), losing, lambda info: None)
    laboratory = honest(lambda number: MeasureFailed("no trial is due"))
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert (laboratory.compared, laboratory.measured, len(laboratory.modules)) == ([2], 0, 2)
    assert set(laboratory.modules) <= set(losing.modules)
    assert result["tasks"][0]["best_s"] == 1.2 * MS


def test_nothing_is_compared_twice_but_a_new_contender_meets_the_old_winner(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    tuner_at(tmp_path).tune(job_of(tasks[:1]), honest(), lambda info: None)
    same = honest(lambda number: [9.0 * MS] * 3)
    tuner_at(tmp_path).tune(job_of(tasks[:1], trials_per_task=8), same, lambda info: None)
    assert (same.measured, same.compared) == (2, [])
    better = honest(
        lambda number: [0.9 * MS] * 3, lambda number: [[0.95 * MS] * 5, [2.0 * MS] * 5, [1.2 * MS] * 5][number]
    )
    result = tuner_at(tmp_path).tune(job_of(tasks[:1], trials_per_task=9), better, lambda info: None)
    assert (better.measured, better.compared) == (1, [3])
    assert result["tasks"][0]["best_s"] == 0.95 * MS
    assert len(list(read_validations(tmp_path))) == 2


def test_a_task_with_one_decision_is_not_measured_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = honest()
    result = tuner_at(tmp_path).tune(job_of(tasks[2:]), laboratory, lambda info: None)
    assert laboratory.compared == []
    assert result["tasks"][0]["gap"] is None
    assert result["tasks"][0]["best_s"] == 9.0 * MS


class Uneven(ChosenLaboratory):
    """The matrix product of 32 takes a hundredth of a percent of the network's time."""

    def __init__(self) -> None:
        super().__init__(steadily)
        self.shapes: list[list[int]] = []

    def measure(self, lib: Path, args: list[dict[str, Any]], options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        found = super().measure(lib, args, options).result()
        scale = 1e-4 if args[0]["shape"] == [32, 32] else 1.0
        future: Future[dict[str, Any]] = Future()
        future.set_result({**found, "run_secs": [scale * seconds for seconds in found["run_secs"]]})
        return future

    def compare(
        self, candidates: Sequence[tuple[Path, list[dict[str, Any]]]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        self.shapes.append(candidates[0][1][0]["shape"])
        return super().compare(candidates, options)


def steadily(number: int) -> list[float]:
    return [1.0 * MS + 1e-6 * number] * 3


def test_a_task_that_takes_next_to_nothing_is_left_as_first_measured(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = Uneven()
    result = tuner_at(tmp_path).tune(job_of(tasks[:2]), laboratory, lambda info: None)
    assert laboratory.shapes == [[64, 64]]
    small, large = result["tasks"]
    assert small["gap"] is None
    assert small["best_s"] == small["screening_s"] < 1e-6
    assert large["gap"] is not None
