"""Whole networks are built and timed while they are tuned, and cost the tuning nothing where they cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import BuildFailed
from sweep.toolchain.candidates.service import NetworkOrder
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.pool.early_networks import EarlyNetworks
from sweep.toolchain.tuning.pool.member import PoolMember
from sweep.toolchain.tuning.records.trial_logs import read_trials
from tests.toolchain.tuning.conftest import ChosenLaboratory, job_of, tuner_at

ORDER = NetworkOrder("artifacts/lower/0123", {"repeat": 3}, threads=1, threshold=1e-4)


class ChosenNetworks:
    """Answers at once, with what it is told to; notes the workloads that had records when it was asked."""

    def __init__(self, *answers: Sequence[float] | Exception) -> None:
        self.answers = answers
        self.known: list[set[str]] = []
        self.folders: list[Path] = []

    def time_network(self, order: NetworkOrder, records_dir: Path, folder: Path) -> Future[dict[str, Any]]:
        assert order is ORDER
        self.known.append({trial.workload for trial in read_trials(records_dir) if trial.median_s is not None})
        folder.mkdir()
        self.folders.append(folder)
        answer: Future[dict[str, Any]] = Future()
        said = self.answers[min(len(self.known), len(self.answers)) - 1]
        if isinstance(said, Exception):
            answer.set_exception(said)
        else:
            answer.set_result({"run_secs": said})
        return answer


class HeldNetworks(ChosenNetworks):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__([1.0])
        self.asked: list[Future[dict[str, Any]]] = []

    def time_network(self, order: NetworkOrder, records_dir: Path, folder: Path) -> Future[dict[str, Any]]:
        folder.mkdir()
        self.folders.append(folder)
        self.asked.append(Future())
        return self.asked[-1]


@pytest.fixture
def any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of these tests are tuned in a moment, which is less than a network is timed for."""
    monkeypatch.setattr("sweep.toolchain.tuning.pool.early_networks._LEAST_S", 0.0)


@pytest.mark.usefixtures("any_time")
def test_a_network_is_timed_as_soon_as_each_of_its_tasks_has_a_schedule(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    networks, told = ChosenNetworks([7e-3, 5e-3, 6e-3]), list[Mapping[str, Any]]()
    laboratory = ChosenLaboratory(lambda number: [1e-3] * 3)
    result = tuner_at(tmp_path).tune(replace(job_of(tasks), network=ORDER), laboratory, told.append, networks)
    assert networks.known == [{task.workload for task in tasks}]
    assert [latency_s for _, _, latency_s in result["measured"]] == [6e-3]
    assert len(tasks) <= result["measured"][0][0] < result["trials"], "not when there is no room for one more round"
    assert told[-1]["measured_s"] == 6e-3
    assert not any(folder.parent.exists() for folder in networks.folders)
    assert result["trials"] == 13


@pytest.mark.usefixtures("any_time")
def test_a_network_that_cannot_be_built_costs_its_tuning_nothing(tasks: list[TuningTask], tmp_path: Path) -> None:
    networks = ChosenNetworks(BuildFailed("LLVM refuses it"))
    laboratory = ChosenLaboratory(lambda number: [1e-3 * 0.5**number] * 3)
    result = tuner_at(tmp_path).tune(replace(job_of(tasks), network=ORDER), laboratory, lambda info: None, networks)
    assert len(networks.known) >= 1
    assert (result["trials"], result["measured"]) == (13, [])


@pytest.mark.usefixtures("any_time")
def test_a_bug_is_told_and_costs_its_tuning_nothing(
    tasks: list[TuningTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    networks = ChosenNetworks(RuntimeError("the engine has a bug"))
    laboratory = ChosenLaboratory(lambda number: [1e-3] * 3)
    result = tuner_at(tmp_path).tune(replace(job_of(tasks), network=ORDER), laboratory, lambda info: None, networks)
    assert (result["trials"], result["measured"]) == (13, [])
    assert "its network is not timed early: RuntimeError('the engine has a bug')" in caplog.text


def test_a_tuning_that_is_over_in_a_moment_has_no_time_for_it(tasks: list[TuningTask], tmp_path: Path) -> None:
    networks = ChosenNetworks([1.0])
    laboratory = ChosenLaboratory(lambda number: [1e-3] * 3)
    tuner_at(tmp_path).tune(replace(job_of(tasks), network=ORDER), laboratory, lambda info: None, networks)
    assert networks.known == []


@pytest.mark.usefixtures("any_time")
def test_who_asks_for_none_has_none(tasks: list[TuningTask], tmp_path: Path) -> None:
    networks = ChosenNetworks([1.0])
    tuner_at(tmp_path).tune(job_of(tasks), ChosenLaboratory(lambda n: [1e-3]), lambda info: None, networks)
    assert networks.known == []


@pytest.mark.usefixtures("any_time")
def test_a_network_that_nobody_waits_for_is_not_built_to_its_end_and_leaves_no_files(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    networks, tuner = HeldNetworks(), tuner_at(tmp_path)
    laboratory = ChosenLaboratory(lambda number: [1e-3] * 3)
    result = tuner.tune(replace(job_of(tasks), network=ORDER), laboratory, lambda info: None, networks)
    assert result["measured"] == []
    tuner.close()  # the pool's loop may not have ended yet
    assert networks.asked[0].cancelled()
    assert not networks.folders[0].parent.exists()


def test_what_is_on_the_board_goes_on_and_leaves_no_files(tasks: list[TuningTask], tmp_path: Path) -> None:
    networks, member = HeldNetworks(), member_of(tasks)
    early = EarlyNetworks(tmp_path, lambda: None, Clock())
    early.begin(networks)
    member.reached_s = 1e-2
    early.see_to([member], 100, lambda _: 1e3)
    assert networks.asked[0].set_running_or_notify_cancel()
    early.forget()
    assert networks.folders[0].exists()
    networks.asked[0].set_result({"run_secs": [1.0]})
    assert not networks.folders[0].parent.exists()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def member_of(tasks: list[TuningTask]) -> PoolMember:
    member = PoolMember(replace(job_of(tasks), network=ORDER), lambda info: None)
    member.joined = 0.0
    return member


@pytest.mark.parametrize(("trials", "pace_s"), [(1000, 30.0), (1001, 30.0), (1003, 10.0)])
def test_the_pace_is_that_of_the_trials_since_it_joined(tasks: list[TuningTask], trials: int, pace_s: float) -> None:
    """With all of the pool's, who came late was said to be done in a moment, and was not timed early at all."""
    member = member_of(tasks)
    member.pool_trials_at_join = 1000
    assert member.pace_s(30.0, trials) == pace_s


def test_it_is_timed_again_when_it_should_be_a_tenth_faster_and_there_is_time_for_it(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    clock, networks, member = Clock(), HeldNetworks(), member_of(tasks)
    early = EarlyNetworks(tmp_path, lambda: None, clock)
    early.begin(networks)

    def begun_at(now_s: float, estimate_s: float, left_s: float = 1e3) -> int:
        clock.now_s, member.reached_s = now_s, estimate_s
        early.see_to([member], 100, lambda _: left_s)
        return len(networks.asked)

    assert begun_at(30.0, 10e-3) == 1
    clock.now_s = 40.0
    networks.asked[0].set_result({"run_secs": [11e-3]})
    assert begun_at(40.0, 5e-3) == 1, "ten of forty seconds is more than its share"
    assert begun_at(100.0, 9.5e-3) == 1, "it is hardly faster"
    assert begun_at(100.0, 8e-3, left_s=9.0) == 1, "its cell comes as soon"
    assert begun_at(100.0, 8e-3, left_s=60.0) == 2
    assert begun_at(200.0, 1e-3) == 2, "one at a time"
    assert member.measured == [(100, 40.0, 11e-3)]


def test_a_network_that_fails_twice_is_left_to_the_build_of_its_cell(tasks: list[TuningTask], tmp_path: Path) -> None:
    clock, networks, member = Clock(), ChosenNetworks(BuildFailed("LLVM refuses it")), member_of(tasks)
    early = EarlyNetworks(tmp_path, lambda: None, clock)
    early.begin(networks)
    for number in range(4):
        clock.now_s, member.reached_s = 100.0 * (number + 1), 1e-2 * 0.5**number
        early.see_to([member], 10 * number, lambda _: 1e3)
    assert len(networks.known) == 2


def test_many_networks_share_the_time_that_one_would_have(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Nine networks that had their first schedules at once were built one after another until the time was over."""
    clock, networks, members = Clock(), HeldNetworks(), [member_of(tasks) for _ in range(3)]
    early = EarlyNetworks(tmp_path, lambda: None, clock)
    early.begin(networks)
    for member in members:
        member.reached_s = 1e-2

    def begun_at(now_s: float) -> int:
        clock.now_s = now_s
        early.see_to(members, 100, lambda _: 1e3)
        return len(networks.asked)

    assert begun_at(100.0) == 1
    networks.asked[0].set_result({"run_secs": [1.0]})
    clock.now_s = 140.0
    assert begun_at(140.0) == 1, "40 of 140 seconds is more than their share"
    assert begun_at(260.0) == 1
    assert begun_at(270.0) == 2
    assert [len(member.measured) for member in members] == [1, 0, 0]
