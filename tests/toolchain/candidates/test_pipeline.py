"""Candidates on their way, built and timed by services whose answers a test chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import (
    BuildFailed,
    CompilerLost,
    DeviceLost,
    DiskFull,
    EngineError,
    MeasureFailed,
    MeasureTimeout,
    ToolchainError,
    WorkerKilled,
)
from sweep.toolchain.candidates.libraries import Libraries
from sweep.toolchain.candidates.pipeline import LOST_IN_A_ROW, BuildMeasurePipeline
from sweep.toolchain.candidates.requests import (
    ComparisonRequest,
    CompletedComparison,
    CompletedTrial,
    Contender,
    TrialRequest,
)
from sweep.toolchain.candidates.service import CandidateSource
from sweep.toolchain.candidates.timing_figures import Timing

Answers = Mapping[str, Sequence[Any]]
"""By candidate: what its builds or measurements end in, one after the other; the last for ever."""
TIMES = {"run_secs": [1.0], "seconds": 0.1}
TIMING = Timing(timeout_s=5.0)

Request = TrialRequest[str] | ComparisonRequest[str]
Completed = CompletedTrial[str] | CompletedComparison[str]


class ChosenService:
    """Answers at once."""

    build_slots = 2

    def expect(self, seconds: float) -> None:
        """Nothing else uses its device."""

    def __init__(self, builds: Answers | None = None, times: Answers | None = None) -> None:
        self._answers = {"build": dict(builds or {}), "time": dict(times or {})}
        self._name_of: dict[Path, str] = {}
        self.timed: list[str] = []
        self.compared: list[list[str]] = []
        self.options: list[Mapping[str, Any]] = []
        self.args: list[Any] = []
        self.going = self.most = 0

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        assert (source.job, timeout_s) == ("build", 9.0)
        name = source.arguments["name"]
        self.going += 1
        self.most = max(self.most, self.going)
        lib.touch()
        self._name_of[lib] = name
        return self._settled("build", name, {"args": [{"shape": [1], "dtype": name}], "build_s": 0.25})

    def measure(self, lib: Path, args: Any, options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        self.timed.append(self._name_of[lib])
        self.options.append(options)
        self.args.append(args)
        self.going -= 1
        return self._settled("time", self._name_of[lib], TIMES)

    def compare(self, candidates: Sequence[tuple[Path, Any]], options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        assert all(lib.is_file() for lib, _ in candidates)
        self.compared.append([self._name_of.get(lib, lib.stem) for lib, _ in candidates])
        self.options.append(options)
        return self._settled("time", self.compared[-1][0], {"run_secs": [[1.0]] * len(candidates), "seconds": 0.1})

    def _settled(self, kind: str, name: str, usual: Mapping[str, Any]) -> Future[dict[str, Any]]:
        chosen = list(self._answers[kind].get(name, [usual]))
        self._answers[kind][name] = chosen[1:] or chosen
        future: Future[dict[str, Any]] = Future()
        if isinstance(chosen[0], Exception):
            future.set_exception(chosen[0])
        else:
            future.set_result(chosen[0])
        return future


class LateService(ChosenService):
    """Ends its measurements when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Future[dict[str, Any]]] = []

    def measure(self, lib: Path, args: Any, options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        super().measure(lib, args, options)
        self.waiting.append(Future())
        return self.waiting[-1]


def contender(name: str, lib: Path | None = None) -> Contender[str]:
    return Contender(name, CandidateSource("build", {"name": name}), lib=lib)


def trial(name: str, device: str = "a", slow_s: float | None = None) -> TrialRequest[str]:
    return TrialRequest(device, contender(name), TIMING, 9.0, slow_s=lambda: slow_s)


def comparison(*contenders: Contender[str]) -> ComparisonRequest[str]:
    return ComparisonRequest("a", contenders, TIMING, 9.0)


def pipeline_in(folder: Path, **services: ChosenService) -> BuildMeasurePipeline[str, str]:
    pipeline: BuildMeasurePipeline[str, str] = BuildMeasurePipeline(Libraries(folder))
    pipeline.begin(services)
    return pipeline


def performed(service: ChosenService, folder: Path, *requests: Request, room: int = 4) -> list[Completed]:
    pipeline = pipeline_in(folder, a=service)
    completed = list(pipeline.perform(iter(requests), room))
    assert pipeline.in_flight == 0
    pipeline.abandon()
    assert not list(folder.glob("candidates-*"))
    return completed


def trials(service: ChosenService, folder: Path, *requests: Request, room: int = 4) -> dict[str, CompletedTrial[str]]:
    completed = performed(service, folder, *requests, room=room)
    return {one.subject: one for one in completed if isinstance(one, CompletedTrial)}


def compared(service: ChosenService, folder: Path, *contenders: Contender[str]) -> CompletedComparison[str]:
    [completed] = performed(service, folder, comparison(*contenders))
    assert isinstance(completed, CompletedComparison)
    return completed


def test_each_trial_ends_with_its_times_or_with_what_is_to_blame(tmp_path: Path) -> None:
    service = ChosenService({"b": [BuildFailed("no")]}, {"c": [MeasureTimeout("late")]})
    ended = trials(service, tmp_path, trial("a", slow_s=3.0), trial("b"), trial("c"))
    assert {name: (one.run_secs, one.measure_s, one.build_s) for name, one in ended.items()} == {
        "a": ((1.0,), 0.1, 0.25),
        "b": (None, None, None),
        "c": (None, None, 0.25),
    }
    assert {name: str(one.error) for name, one in ended.items()} == {"a": "None", "b": "no", "c": "late"}
    assert service.timed == ["a", "c"]
    assert service.args[0] == [{"shape": [1], "dtype": "a"}], "as its build has told"
    assert service.options[0] == {"number": 1, "repeat": 3, "min_repeat_ms": 10, "timeout_s": 5.0, "slow_s": 3.0}


def test_what_is_slow_is_asked_once_the_candidate_is_built(tmp_path: Path) -> None:
    asked = []

    def slow_s() -> float:
        asked.append(len(service._name_of))
        return 2.0

    service = ChosenService()
    performed(service, tmp_path, TrialRequest("a", contender("x"), TIMING, 9.0, slow_s))
    assert (asked, service.options[0]["slow_s"]) == ([1], 2.0)


def test_contenders_take_turns_and_those_that_do_not_build_drop_out(tmp_path: Path) -> None:
    service = ChosenService({"b": [BuildFailed("no")]})
    completed = compared(service, tmp_path, *map(contender, "abc"))
    assert service.compared == [["a", "c"]]
    assert (completed.compared, completed.run_secs, completed.measure_s) == (["a", "c"], [(1.0,), (1.0,)], 0.1)
    assert completed.error is None
    assert service.options == [{"number": 1, "repeat": 1, "min_repeat_ms": 10, "rounds": 10, "timeout_s": 10.0}]


def test_a_comparison_of_which_nothing_builds_has_no_times(tmp_path: Path) -> None:
    service = ChosenService({"a": [BuildFailed("no")], "b": [BuildFailed("nor this")]})
    completed = compared(service, tmp_path, *map(contender, "ab"))
    assert (completed.compared, completed.run_secs, str(completed.error)) == ((), (), "no")
    assert service.compared == []


def test_what_was_built_before_is_compared_as_it_is_and_stays(tmp_path: Path) -> None:
    lib = tmp_path / "kept.so"
    lib.touch()
    service = ChosenService()
    pipeline = pipeline_in(tmp_path, a=service)
    list(pipeline.perform(iter([comparison(contender("a", lib), contender("b"))]), 1))
    assert service.compared == [["kept", "b"]]
    assert lib.is_file()
    assert not list(tmp_path.glob("candidates-*/*")), "what was built for the comparison goes with it"


def test_no_more_are_under_way_than_there_is_room_for(tmp_path: Path) -> None:
    service = ChosenService()
    assert len(trials(service, tmp_path, *(trial(str(number)) for number in range(20)), room=3)) == 20
    assert service.most <= 3


def test_what_is_lost_with_its_board_is_timed_once_more(tmp_path: Path) -> None:
    service = ChosenService(times={"a": [DeviceLost("away"), TIMES]})
    ended = trials(service, tmp_path, trial("a"), trial("b"), room=1)
    assert [one.run_secs for one in ended.values()] == [(1.0,), (1.0,)]
    assert service.timed == ["a", "a", "b"]


def test_lost_twice_is_lost_and_the_others_go_on(tmp_path: Path) -> None:
    service = ChosenService(times={"a": [DeviceLost("away")]})
    ended = trials(service, tmp_path, trial("a"), trial("b"), room=1)
    assert [type(one.error) for one in ended.values()] == [DeviceLost, type(None)]
    assert service.timed == ["a", "a", "b"]


LOSSES = [CompilerLost("the server ended"), EngineError("the worker is gone"), WorkerKilled("killed with SIGKILL")]


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_with_its_builder_is_built_once_more(loss: Exception, tmp_path: Path) -> None:
    service = ChosenService({"a": [loss, {"args": [], "build_s": 0.25}]})
    ended = trials(service, tmp_path, trial("a"), trial("b"), room=1)
    assert [one.run_secs for one in ended.values()] == [(1.0,), (1.0,)]
    assert service.timed == ["a", "b"]


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_a_builder_that_is_lost_twice_says_nothing_of_the_candidate(loss: Exception, tmp_path: Path) -> None:
    ended = trials(ChosenService({"a": [loss]}), tmp_path, trial("a"), trial("b"), room=1)
    assert [type(one.error) for one in ended.values()] == [type(loss), type(None)]


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_builders_that_are_lost_so_often_in_a_row_end_the_work(loss: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(loss)):
        trials(ChosenService({name: [loss] for name in "abcd"}), tmp_path, *map(trial, "abcd"), room=1)


def test_a_candidate_whose_worker_is_killed_each_time_is_to_blame(tmp_path: Path) -> None:
    """Memory that it takes is taken from all: the same ones die of it each time."""
    killed = [WorkerKilled("killed with SIGKILL")]
    service = ChosenService({"a": killed}, {"b": killed})
    ended = trials(service, tmp_path, trial("a"), trial("b"), trial("c"), room=1)
    assert [type(one.error) for one in ended.values()] == [BuildFailed, MeasureFailed, type(None)]
    assert service.timed == ["b", "b", "c"]


def test_a_contender_that_is_killed_each_time_drops_out(tmp_path: Path) -> None:
    service = ChosenService(
        {"b": [WorkerKilled("killed with SIGKILL")], "c": [LOSSES[0], {"args": [], "build_s": 0.5}]}
    )
    completed = compared(service, tmp_path, *map(contender, "abc"))
    assert service.compared == [["a", "c"]]
    assert (completed.compared, completed.error) == (["a", "c"], None)


def losing(names: str) -> ChosenService:
    return ChosenService(times={name: [DeviceLost(f"{name} found no board")] for name in names})


@pytest.mark.parametrize("kept", [0, LOST_IN_A_ROW - 1])
def test_a_device_that_loses_so_many_in_a_row_is_away(kept: int, tmp_path: Path) -> None:
    """What was answered before that is given all the same."""
    names = "abcdefghij"
    service = losing(names[kept:])
    ended: list[Completed] = []
    pipeline = pipeline_in(tmp_path, a=service)
    with pytest.raises(DeviceLost, match=f"{names[kept + LOST_IN_A_ROW - 1]} found no board"):
        ended.extend(pipeline.perform(iter([trial(name) for name in names]), 1))
    assert len(service.timed) == kept + 2 * LOST_IN_A_ROW
    assert len(ended) == kept + LOST_IN_A_ROW - 1


def test_an_answer_in_between_begins_the_row_anew(tmp_path: Path) -> None:
    """Also one that fails for a reason of its own: somebody was there to say so."""
    service = ChosenService(times={**{name: [DeviceLost("away")] for name in "abcefg"}, "d": [MeasureTimeout("late")]})
    ended = trials(service, tmp_path, *map(trial, "abcdefgh"), room=1)
    assert [type(one.error) for one in ended.values()].count(DeviceLost) == 6


def test_each_device_has_a_row_of_its_own(tmp_path: Path) -> None:
    """Three are lost on either: no device is away."""
    requests = [trial(f"{device}{number}", device) for number in range(3) for device in "ab"]
    lost = {request.candidate.subject: [DeviceLost("away")] for request in requests}
    pipeline = pipeline_in(tmp_path, a=ChosenService(times=lost), b=ChosenService(times=lost))
    assert len(list(pipeline.perform(iter(requests), 1))) == 6


def test_comparisons_that_are_lost_count_too(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost):
        performed(losing("a"), tmp_path, *(comparison(contender("a"), contender("b")) for _ in range(LOST_IN_A_ROW)))


@pytest.mark.parametrize(
    ("builds", "times", "error"),
    [
        ({"a": [ToolchainError("the compile pool ended")]}, {}, ToolchainError),
        ({}, {"a": [DiskFull("no space")]}, DiskFull),
        ({}, {"a": [KeyError("bug")]}, KeyError),
    ],
)
@pytest.mark.parametrize("request_", [trial("a"), comparison(contender("a"), contender("b"))])
def test_what_is_nobodys_fault_ends_the_work(
    request_: Request, builds: Answers, times: Answers, error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        performed(ChosenService(builds, times), tmp_path, request_)


def test_a_measurement_that_cannot_be_begun_is_not_lost(tmp_path: Path) -> None:
    """It is begun in the builder's thread, where nobody would see the error."""

    class Broken(ChosenService):
        def measure(self, lib: Path, args: Any, options: Mapping[str, Any]) -> Future[dict[str, Any]]:
            raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError):
        performed(Broken(), tmp_path, trial("a"))


def test_a_service_that_is_closed_ends_the_work(tmp_path: Path) -> None:
    service = LateService()
    pipeline = pipeline_in(tmp_path, a=service)
    pipeline.submit(trial("a"))
    assert service.waiting[0].cancel()
    service.waiting[0].set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        list(pipeline.answers(0.0))


def test_what_was_abandoned_is_not_answered(tmp_path: Path) -> None:
    service = LateService()
    pipeline = pipeline_in(tmp_path, a=service)
    pipeline.submit(trial("old"))
    pipeline.abandon()
    pipeline.submit(trial("new"))
    for waiting in service.waiting:
        waiting.set_result(TIMES)
    [completed] = list(pipeline.answers(0.0))
    assert isinstance(completed, CompletedTrial)
    assert (completed.subject, pipeline.in_flight) == ("new", 0)


def test_requests_are_asked_for_when_there_is_room(tmp_path: Path) -> None:
    asked: list[str] = []

    def requests() -> Iterator[Request]:
        for name in "abc":
            asked.append(name)
            yield trial(name)

    answers = pipeline_in(tmp_path, a=ChosenService()).perform(requests(), 1)
    next(answers)
    assert asked == ["a"]
