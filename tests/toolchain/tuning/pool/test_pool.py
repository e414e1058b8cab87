"""A pool: modules that join at once, what they share, how its end or failure reaches all of them, and its books."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sweep.errors import BuildFailed, CompilerLost, DeviceLost, MeasureFailed, TuneFailed
from sweep.search.random_search import RandomSearch, RandomStrategy
from sweep.search.space import Space
from sweep.search.strategy import Observation
from sweep.toolchain.candidates.service import CandidateSource
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.records.trial_logs import read_trials
from sweep.toolchain.tuning.tuning_session import TuningSession
from tests.toolchain.tuning.conftest import ChosenLaboratory, GatedLaboratory, HashLaboratory, job_of, tuner_at

Result = dict[str, Any]


def steady(number: int) -> list[float]:
    return [1e-3 / number] * 3


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def tune_together(
    tuner: TuningSession, jobs: Sequence[TuneJob], laboratory: GatedLaboratory, built: Sequence[int]
) -> list[Future[Result]]:
    """Each job joins when as many candidates as `built` says wait to be built; then the gate opens."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        waiting = []
        for job, count in zip(jobs, built, strict=True):
            waiting.append(pool.submit(tuner.tune, job, laboratory, lambda info: None))
            until(lambda count=count: len(laboratory.modules) >= count)
        laboratory.open()
    return waiting


def by_name(result: Result) -> dict[str, Result]:
    return {task["name"]: task for task in result["tasks"]}


def test_what_two_modules_share_is_tuned_once_and_booked_on_the_first(tasks: list[TuningTask], tmp_path: Path) -> None:
    jobs = [job_of(tasks[:1]), job_of(tasks)]
    laboratory = GatedLaboratory(steady)
    first, second = [f.result() for f in tune_together(tuner_at(tmp_path), jobs, laboratory, (1, 3))]
    assert (first["trials"], second["trials"], laboratory.measured) == (6, 7, 13)
    assert {n: t["reused"] for n, t in by_name(second).items()} == {"dense32": True, "dense64": False, "relu": False}
    assert not by_name(first)["dense32"]["reused"]
    assert by_name(first)["dense32"]["best_s"] == by_name(second)["dense32"]["best_s"] is not None
    assert all(task["valid"] for task in second["tasks"])
    assert first["curve"]
    assert second["curve"]
    for part in ("search_s", "build_s", "measure_s", "validate_s"):
        spent = first[part] + second[part]
        assert spent > 0, part
    assert first["build_s"] + second["build_s"] == pytest.approx(13 * 0.25)
    assert first["measure_s"] + second["measure_s"] == pytest.approx(13 * 0.5)
    assert first["validate_s"] + second["validate_s"] == pytest.approx(0.1 * len(laboratory.compared))
    for result in (first, second):
        assert set(result["utilisation"]) == {"search", "build", "device"}
        assert all(0 <= share <= 1 for share in result["utilisation"].values())


def test_a_device_is_kept_ready_until_each_workload_has_had_a_candidate(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    laboratory = ChosenLaboratory(steady)
    tuner = tuner_at(tmp_path)
    tuner.tune(job_of(tasks), laboratory, lambda info: None)
    *ready, last = laboratory.expected
    assert ready
    assert all(seconds > 0 for _, seconds in ready)
    assert ready[0][0] == 0, "before the first candidate is built"
    assert last[1] == 0
    assert last[0] >= len(tasks)
    tuner.tune(job_of(tasks), laboratory, lambda info: None)
    assert laboratory.expected == [*ready, last], "each has had its trials"


def test_a_device_is_kept_ready_for_all_candidates_where_time_is_the_budget(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    """Cells took the device's core whenever no candidate lay there, and with it one on which candidates are built."""
    laboratory = ChosenLaboratory(steady)
    result = tuner_at(tmp_path).tune(job_of(tasks, hours=1.0), laboratory, lambda info: None)
    *ready, last = laboratory.expected
    assert max(trials for trials, seconds in ready if seconds > 0) > len(tasks) + 1, "after each had one"
    assert last == (result["trials"], 0)


def test_a_total_is_shared_by_the_modules_as_they_join(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Half of it is for the first; what that leaves is for both."""
    tuner, laboratory = tuner_at(tmp_path), ChosenLaboratory(steady)
    options = {"trials_per_task": None, "trials_total": 12}
    first, second = (replace(job_of(part, **options), members=2) for part in (tasks[:1], tasks[1:]))
    assert tuner.tune(first, laboratory, lambda info: None)["trials"] == 6
    assert tuner.tune(second, laboratory, lambda info: None)["trials"] == 6


def test_together_they_spend_the_total_and_each_task_is_covered_first(tasks: list[TuningTask], tmp_path: Path) -> None:
    options = {"trials_per_task": None, "trials_total": 12}
    jobs = [replace(job_of(part, **options), members=2) for part in (tasks[:1], tasks[1:])]
    laboratory = GatedLaboratory(steady)
    results = [f.result() for f in tune_together(tuner_at(tmp_path), jobs, laboratory, (1, 3))]
    assert sum(result["trials"] for result in results) == laboratory.measured == 12
    assert len({trial.workload for trial in list(read_trials(tmp_path))[:3]}) == 3
    assert sum(len(result["curve"]) > 0 for result in results) == 2


def test_a_module_whose_tasks_are_all_known_ends_at_once(tasks: list[TuningTask], tmp_path: Path) -> None:
    tuner_at(tmp_path).tune(job_of(tasks[:1]), ChosenLaboratory(steady), lambda info: None)
    tuner, laboratory = tuner_at(tmp_path), GatedLaboratory(steady)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(tuner.tune, job_of(tasks[1:]), laboratory, lambda info: None)
        until(lambda: len(laboratory.modules) >= 2)
        known = tuner.tune(job_of(tasks[:1]), laboratory, lambda info: None)
        assert not busy.done()
        laboratory.open()
    assert (known["trials"], known["tasks"][0]["reused"]) == (0, True)
    assert busy.result()["trials"] == 7


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_who_joins_after_a_pool_has_ended_is_served_too(name: str, tasks: list[TuningTask], tmp_path: Path) -> None:
    """Its books begin anew, and the cost model is not taught twice what it knows."""
    tuner, laboratory = tuner_at(tmp_path, name), ChosenLaboratory(steady)
    assert tuner.tune(job_of(tasks[:1], name), laboratory, lambda info: None)["trials"] == 6
    again = tuner.tune(job_of(tasks[:1], name), laboratory, lambda info: None)
    assert (again["trials"], again["build_s"], again["failed"], again["tasks"][0]["reused"]) == (0, 0, {}, True)
    more = tuner.tune(job_of(tasks[:1], name, trials_per_task=9), laboratory, lambda info: None)
    assert (more["trials"], more["tasks"][0]["trials"]) == (3, 9)
    if name == "xgb":
        taught = tuner._tuner.model._samples
        assert sum(len(samples.rows) for samples in taught.values()) == len(tuner._tuner.taught)
    assert not list(tmp_path.glob("candidates-*"))


class OneHeld(ChosenLaboratory):
    """Holds one build, given by its number, back until the test lets it go."""

    def __init__(self, number: int) -> None:
        super().__init__(steady)
        self.number, self.held = number, Future[Result]()

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[Result]:
        done = super().build(source, lib, timeout_s)
        return self.held if len(self.modules) == self.number else done


class HeldFrom(GatedLaboratory):
    """Holds builds back from that of a number on."""

    def __init__(self, number: int) -> None:
        super().__init__(steady)
        self.number = number

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[Result]:
        if len(self.modules) + 1 < self.number:
            return ChosenLaboratory.build(self, source, lib, timeout_s)
        return super().build(source, lib, timeout_s)


def test_what_is_spent_after_a_module_has_ended_is_booked_on_who_stays(tasks: list[TuningTask], tmp_path: Path) -> None:
    """One of two waits for the last trial of their share when the other has ended; a third comes for the rest."""
    laboratory, tuner = OneHeld(12), tuner_at(tmp_path)
    jobs = [replace(job_of(part, trials_per_task=None, trials_total=18), members=3) for part in (tasks[:1], tasks[1:2])]
    with ThreadPoolExecutor(3) as pool:
        both = [pool.submit(tuner.tune, job, laboratory, lambda info: None) for job in jobs]
        until(lambda: any(one.done() for one in both) and len(laboratory.modules) == 12)
        ended = next(job for job, one in zip(jobs, both, strict=True) if one.done())
        third = pool.submit(tuner.tune, ended, laboratory, lambda info: None)
        until(lambda: len(laboratory.modules) > 12)
        laboratory.held.set_result({"build_s": 0.25})
    results = [one.result() for one in (*both, third)]
    assert sum(result["trials"] for result in results) == laboratory.measured == 18
    assert sum(result["measure_s"] for result in results) == pytest.approx(18 * 0.5)
    assert third.result()["tasks"][0]["reused"]


def test_who_joins_late_knows_the_trials_before_it(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory, tuner, late = HeldFrom(6), tuner_at(tmp_path), job_of(tasks[1:])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tuner.tune, job_of(tasks[:1]), laboratory, lambda info: None)
        until(lambda: len(list(read_trials(tmp_path))) == 5)
        second = pool.submit(tuner.tune, late, laboratory, lambda info: None)
        until(lambda: len(laboratory.modules) > 6)
        assert tuner._pool is not None
        known = {member.job is late: member.pool_trials_at_join for member in tuner._pool._members}
        laboratory.open()
    assert known == {False: 0, True: 5}
    assert (first.result()["trials"], second.result()["trials"]) == (6, 7)


def test_who_brings_a_task_that_cannot_be_read_fails_alone(tasks: list[TuningTask], tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{}", encoding="utf-8")
    broken = TuningTask("w-broken", "broken", 1, trivial=False, module=tmp_path / "broken.json")
    tuner, laboratory = tuner_at(tmp_path / "records"), GatedLaboratory(steady)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(tuner.tune, job_of(tasks[:1]), laboratory, lambda info: None)
        until(lambda: len(laboratory.modules) >= 1)
        with pytest.raises(TuneFailed, match="broken: no search is possible"):
            tuner.tune(job_of([broken]), laboratory, lambda info: None)
        laboratory.open()
    assert busy.result()["valid"] == 6


def lost(number: int) -> list[float] | Exception:
    return DeviceLost("gone")


def bug(number: int) -> list[float] | Exception:
    return ZeroDivisionError("bug")


@pytest.mark.parametrize(("answer", "error"), [(lost, DeviceLost), (bug, ZeroDivisionError)])
def test_what_ends_a_pool_reaches_all_who_wait(
    answer: Callable[[int], list[float] | Exception],
    error: type[Exception],
    tasks: list[TuningTask],
    tmp_path: Path,
) -> None:
    tuner = tuner_at(tmp_path)
    wider = {"trials_per_task": 12, "round": 6}
    jobs = [job_of(tasks[:1], **wider), job_of(tasks[1:], **wider)]
    for waiting in tune_together(tuner, jobs, GatedLaboratory(answer), (1, 4)):
        assert isinstance(waiting.exception(), error)
    assert not list(tmp_path.glob("candidates-*"))
    laboratory = ChosenLaboratory(steady)
    result = tuner.tune(job_of(tasks), laboratory, lambda info: None)
    assert result["trials"] == laboratory.measured == sum(task["trials"] for task in result["tasks"]) == 13


def test_what_is_lost_with_a_board_is_no_trial(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Three candidates find no board, each twice; then it is back."""

    def answer(number: int) -> list[float] | Exception:
        return DeviceLost("gone") if 3 <= number <= 8 else steady(number)

    result = tuner_at(tmp_path).tune(job_of(tasks[:2]), ChosenLaboratory(answer), lambda info: None)
    assert (result["valid"], result["failed"]) == (12, {"DeviceLost": 3})
    assert [task["trials"] for task in result["tasks"]] == [6, 6]
    read_again = tuner_at(tmp_path).store
    assert [read_again.of(task.workload).trials for task in tasks[:2]] == [6, 6]
    assert [trial.is_lost for trial in read_trials(tmp_path)].count(True) == 3


def test_a_lost_candidate_is_tried_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Once: the first one finds no builder four times, and is left out then; the third finds one the next time."""

    class Laboratory(ChosenLaboratory):
        builds: ClassVar[list[str]] = []

        def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[Result]:
            module = str(source.arguments["module_json"])
            if module not in self.builds:
                self.builds.append(module)
            lost = {self.builds[0]: 4, **({self.builds[2]: 2} if len(self.builds) > 2 else {})}
            tried = self.tried[module] = self.tried.get(module, 0) + 1
            if tried <= lost.get(module, 0):
                future: Future[Result] = Future()
                future.set_exception(CompilerLost("the compile server ended"))
                return future
            return super().build(source, lib, timeout_s)

        tried: ClassVar[dict[str, int]] = {}

    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), Laboratory(steady), lambda info: None)
    assert [Laboratory.tried[module] for module in Laboratory.builds[:4]] == [4, 1, 3, 1]
    assert (result["valid"], result["failed"]) == (6, {"CompilerLost": 3})
    assert [task["trials"] for task in result["tasks"]] == [6]
    assert [trial.error_class for trial in read_trials(tmp_path)].count("CompilerLost") == 3


class Listening(RandomStrategy):
    """A tuner of one's own, which keeps what its searches are told."""

    told: ClassVar[list[float | None]] = []

    def search(self, workload: str, space: Space) -> RandomSearch:
        search = super().search(workload, space)
        observe = search.observe

        def keep(observations: Sequence[Observation]) -> None:
            self.told.extend(one.seconds for one in observations)
            observe(observations)

        search.observe = keep  # type: ignore[method-assign]
        return search


def test_a_tuner_is_not_told_of_what_is_lost_with_a_board(tasks: list[TuningTask], tmp_path: Path) -> None:
    answers = {2: DeviceLost("gone"), 3: DeviceLost("still gone"), 5: MeasureFailed("crashed")}
    tuner = tuner_at(tmp_path, f"{__name__}:{Listening.__name__}")
    laboratory = ChosenLaboratory(lambda number: answers.get(number) or steady(number))
    result = tuner.tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert result["failed"] == {"DeviceLost": 1, "MeasureFailed": 1}
    assert Listening.told.count(None) == 1
    assert len(Listening.told) == 6


def test_a_bug_in_the_laboratory_reaches_who_waits(tasks: list[TuningTask], tmp_path: Path) -> None:
    class Broken(ChosenLaboratory):
        def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[Result]:
            raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError):
        tuner_at(tmp_path).tune(job_of(tasks), Broken(steady), lambda info: None)
    assert not list(tmp_path.glob("candidates-*"))


def test_closing_frees_who_waits(tasks: list[TuningTask], tmp_path: Path) -> None:
    tuner, laboratory = tuner_at(tmp_path), GatedLaboratory(steady)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(tuner.tune, job_of(part), laboratory, lambda info: None) for part in (tasks, tasks[1:])]
        until(lambda: len(laboratory.modules) >= 3)
        tuner.close()
        for one in waiting:
            with pytest.raises(TuneFailed, match="closed"):
                one.result(timeout=60)
    laboratory.open()
    assert not list(tmp_path.glob("candidates-*"))


def estimate(result: Result) -> float:
    return sum(float(task["weight"] * task["best_s"]) for task in result["tasks"])


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_more_budget_is_never_worse(name: str, tasks: list[TuningTask], tmp_path: Path) -> None:
    reached = []
    for total in (5, 14):
        options = {"trials_per_task": None, "trials_total": total}
        fresh = tuner_at(tmp_path / str(total), name).tune(
            job_of(tasks, name, **options), HashLaboratory(), lambda info: None
        )
        assert fresh["trials"] == total
        continued = tuner_at(tmp_path / "continued", name).tune(
            job_of(tasks, name, **options), HashLaboratory(), lambda info: None
        )
        reached.append((estimate(fresh), estimate(continued)))
    for column in zip(*reached, strict=True):
        assert list(column) == sorted(column, reverse=True)
    assert reached[-1][0] < reached[0][0]


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_the_same_budget_gives_the_same_again(name: str, tasks: list[TuningTask], tmp_path: Path) -> None:
    found = [
        estimate(tuner_at(tmp_path / run, name).tune(job_of(tasks, name), HashLaboratory(), lambda info: None))
        for run in "ab"
    ]
    assert found[0] == found[1]


def test_half_of_the_candidates_failing_costs_only_themselves(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Hung, crashed or out of memory: each has its reason, and the rest goes on."""
    said = ("timed out after 10 s", "the worker crashed with SIGSEGV", "MemoryError: more than 2048 MB")

    def answer(number: int) -> list[float] | Exception:
        return MeasureFailed(said[number // 2 % 3]) if number % 2 else steady(number)

    result = tuner_at(tmp_path).tune(job_of(tasks[:2], trials_per_task=12), ChosenLaboratory(answer), lambda info: None)
    assert (result["trials"], result["valid"], result["failed"]) == (24, 12, {"MeasureFailed": 12})
    assert {trial.error for trial in read_trials(tmp_path) if trial.error} == set(said)
    assert all(task["best_s"] for task in result["tasks"])


class Killing(ChosenLaboratory):
    """Every other build ends as the forge ends those that hang, crash or exhaust memory."""

    SAID = ("timed out after 30 s", "killed by SIGSEGV", "ran out of memory (limit 4295 MB)")

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[Result]:
        done = super().build(source, lib, timeout_s)
        if len(self.modules) % 2 == 0:
            return done
        killed: Future[Result] = Future()
        killed.set_exception(BuildFailed(self.SAID[len(self.modules) // 2 % 3]))
        return killed


def test_a_build_that_is_killed_costs_only_itself(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = Killing(steady)
    result = tuner_at(tmp_path).tune(job_of(tasks[:2], trials_per_task=12), laboratory, lambda info: None)
    assert (result["trials"], result["valid"], result["failed"]) == (24, 12, {"BuildFailed": 12})
    assert laboratory.measured == 12
    assert {trial.error for trial in read_trials(tmp_path) if trial.error} == set(Killing.SAID)


def test_what_is_told_meanwhile_adds_up(tasks: list[TuningTask], tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    tuner_at(tmp_path).tune(job_of(tasks), ChosenLaboratory(steady), lambda info: told.append(dict(info)))
    assert told[-1]["tasks_covered"] == told[-1]["tasks"] == 3
    for info in told:
        assert info["trials"] <= info["trials_total"] <= 13
        assert all(0 <= share <= 1 for share in info["busy"].values())
