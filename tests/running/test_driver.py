"""The driver with an engine whose answers a test chooses; ledger and machine are the real ones."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.files.sweep_dir import SweepDir
from sweep.planning.kinds import kind_of
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.stage_result import StageResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Plan, Stage
from sweep.running.contract import Attempt, Done, Failed, Progress, Report
from sweep.running.driver import RunOptions, drive
from sweep.running.first_answer import first_answer
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.policy import RetryPolicy
from sweep.running.signals import OrderlyEnd
from tests.running.plans import diamond, plan_of, stage, two_devices

Answer = Callable[[Attempt], Report | BaseException]


class ChosenEngine:
    """Ends each attempt, at the next poll, as `answer` says."""

    capacity: Mapping[str, int] = {"compile": 2, "tune": 2}

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.started: list[tuple[str, int]] = []
        self.polls = 0
        self._queue: list[Attempt] = []

    def start(self, attempt: Attempt) -> None:
        self.started.append((attempt.stage.id, attempt.number))
        self._queue.append(attempt)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        self.polls += 1
        if not self._queue:
            return []
        answer = self.answer(self._queue.pop(0))
        if isinstance(answer, BaseException):
            raise answer
        return [answer]

    def close(self) -> None:
        self._queue.clear()


def marked(stage: Stage, **fields: Any) -> StageResult:
    """A result that tells of which stage it is, in whichever of these fields its kind has."""
    return kind_of(stage).result.from_json({"target_json": stage.id, "records_dir": stage.id, **fields})


def done(attempt: Attempt) -> Done:
    return Done(attempt.stage.id, attempt.number, marked(attempt.stage), 1.0, "w")


def failed(attempt: Attempt, error_class: str = "BuildFailed") -> Failed:
    return Failed(attempt.stage.id, attempt.number, error_class, "why", 1.0, "w")


class Watcher:
    def __init__(self) -> None:
        self.settled: list[tuple[int, bool]] = []
        self.failures: list[tuple[str, bool]] = []

    def attempt_started(self, stage: Stage, attempt: int) -> None: ...
    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None: ...
    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None: ...
    def tick(self, now: float) -> None: ...
    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        self.failures.append((stage.id, will_retry))

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        self.settled.append((cell, from_earlier_run))


def run(folder: Path, engine: ChosenEngine, plan: Plan | None = None, **options: Any) -> tuple[str, Watcher]:
    watcher = Watcher()
    with Ledger(folder) as ledger:
        result = drive(
            plan or diamond(),
            engine,
            ledger,
            folder,
            observers=[watcher],
            options=RunOptions(**options),
            policy=RetryPolicy(first_delay_s=0.2),
        )
    return result.status, watcher


class EarlyTimes(ChosenEngine):
    """Its first tuner goes on until other work has begun, at most for 20 polls; from the third on it tells a time of
    its network.
    """

    told = 0

    def poll(self, timeout_s: float) -> Sequence[Report]:
        if self._queue and self._queue[0].stage.id == "t" and ("b", 1) not in self.started and self.told < 20:
            self._queue.append(self._queue.pop(0))
            self.told += 1
            return [Progress("t", {"trials": self.told, **({"measured_s": 1e-3} if self.told >= 3 else {})})]
        return super().poll(timeout_s)


def test_others_begin_when_the_first_network_has_been_timed(tmp_path: Path) -> None:
    plan, engine = two_devices(), EarlyTimes(done)
    first = first_answer(plan, (), {"d0": (1,), "d1": (1,)})
    status, _ = run(tmp_path, engine, plan, first=first)
    assert status == "done"
    assert engine.told == 3
    assert [stage for stage, _ in engine.started[:6]] == ["i", "m0", "l", "t", "b", "l1"]


def test_inputs_reach_the_attempt_by_kind(tmp_path: Path) -> None:
    seen: dict[str, Mapping[str, StageResult]] = {}

    def answer(attempt: Attempt) -> Report:
        seen[attempt.stage.id] = attempt.inputs
        return done(attempt)

    status, watcher = run(tmp_path, ChosenEngine(answer))
    assert status == "done"
    assert seen["b2"] == {"lower": LowerResult(target_json="l2"), "tune": TuneResult(records_dir="t2")}
    assert sorted(watcher.settled) == [(n, False) for n in range(4)]


def test_the_same_again_starts_nothing(tmp_path: Path) -> None:
    run(tmp_path, ChosenEngine(done))
    engine = ChosenEngine(done)
    status, watcher = run(tmp_path, engine)
    assert (status, engine.started) == ("done", [])
    assert sorted(watcher.settled) == [(n, True) for n in range(4)]


def test_a_failed_stage_takes_its_cells_only_and_is_told_at_once(tmp_path: Path) -> None:
    engine = ChosenEngine(lambda a: failed(a) if a.stage.id == "b1" else done(a))
    status, watcher = run(tmp_path, engine)
    assert (status, watcher.failures) == ("failed", [("b1", False)])
    state = read_ledger(tmp_path)
    assert set(state.failed) == {"b1"}
    assert {"m2", "m3", "m4"} <= set(state.done)


@pytest.mark.parametrize(
    ("of", "fields", "told"),
    [
        (
            "l1",
            {"beyond_range": {"layer": "a", "value": float("-inf")}},
            "beyond_range.value is -inf; allowed: a finite",
        ),
        ("m1", {"blocks": [{"run_secs": [1.0, float("nan")]}]}, "blocks.0.run_secs.1 is nan; allowed: a finite number"),
        ("l1", {"beyond_range": {"value": np.float32(1)}}, "beyond_range.value is of the type float32; allowed: what"),
        ("l1", {"beyond_range": {"layer": "x" * (32 << 20)}}, "takes 33,554,"),
    ],
    ids=["infinite", "no number", "foreign", "too long"],
)
def test_a_result_that_the_ledger_does_not_take_fails_its_stage_alone(
    tmp_path: Path, of: str, fields: dict[str, Any], told: str
) -> None:
    def answer(attempt: Attempt) -> Report:
        made = marked(attempt.stage)
        return replace(done(attempt), result=Foreign(made, fields)) if attempt.stage.id == of else done(attempt)

    status, watcher = run(tmp_path, ChosenEngine(answer))
    assert (status, watcher.failures) == ("failed", [(of, False)])
    state = read_ledger(tmp_path)
    assert {"m2", "m3", "m4"} <= set(state.done)
    failure = state.failed[of]
    assert failure.error_class == {"l1": "LowerFailed", "m1": "MeasureFailed"}[of]
    assert told in failure.error
    assert "\n" not in failure.error


class Foreign:
    """A result with these fields besides its own, as a stage makes that nobody has checked."""

    def __init__(self, made: StageResult, fields: Mapping[str, Any]) -> None:
        self._made, self._fields = made, fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def to_json(self) -> dict[str, Any]:
        return {**self._made.to_json(), **self._fields}


def test_the_ledger_keeps_no_login_that_an_error_quotes(tmp_path: Path) -> None:
    def answer(attempt: Attempt) -> Report:
        said = "cannot reach s3://AKIA:hun/ter2@bucket/x?sig=hunter2 now"
        return (
            replace(failed(attempt), error=said, traceback=f"Traceback\n{said}")
            if attempt.stage.id == "b1"
            else done(attempt)
        )

    run(tmp_path, ChosenEngine(answer))
    assert read_ledger(tmp_path).failed["b1"].error == "cannot reach s3://***@bucket/x?*** now"
    assert "ter2" not in SweepDir(tmp_path).ledger.read_text()


def test_what_an_earlier_version_lost_with_its_compile_server_is_tried_by_the_next_run(tmp_path: Path) -> None:
    def answer(attempt: Attempt) -> Report:
        lost = "the compile server ended (signal 9) before this job did"
        is_lost = attempt.stage.id == "b1"
        return replace(failed(attempt, "ToolchainError"), error=lost) if is_lost else done(attempt)

    run(tmp_path, ChosenEngine(answer))
    again = ChosenEngine(done)
    status, _ = run(tmp_path, again)
    assert (status, again.started) == ("done", [("b1", 2), ("m1", 1)])


def test_a_worker_that_is_killed_each_time_fails_its_stage_with_the_reason(tmp_path: Path) -> None:
    engine = ChosenEngine(lambda a: failed(a, "WorkerKilled") if a.stage.id == "b1" else done(a))
    status, watcher = run(tmp_path, engine)
    assert (status, [number for stage, number in engine.started if stage == "b1"]) == ("failed", [1, 2, 3])
    assert watcher.failures[-1] == ("b1", False)
    assert read_ledger(tmp_path).failed["b1"].error_class == "WorkerKilled"


def test_a_final_failure_is_not_tried_by_the_next_run_unless_asked(tmp_path: Path) -> None:
    run(tmp_path, ChosenEngine(lambda a: failed(a) if a.stage.id == "b1" else done(a)))
    again = ChosenEngine(done)
    assert run(tmp_path, again)[0] == "failed"
    assert again.started == []
    asked = ChosenEngine(done)
    assert run(tmp_path, asked, retry_failed=True)[0] == "done"
    assert asked.started == [("b1", 2), ("m1", 1)]


def test_a_passing_failure_is_tried_again_without_spinning(tmp_path: Path) -> None:
    engine = ChosenEngine(lambda a: failed(a, "DeviceLost") if a.number == 1 else done(a))
    begun = time.monotonic()
    status, watcher = run(tmp_path, engine, plan_of([stage("m", "measure", device="d0")], ["m"]))
    assert (status, engine.started, watcher.failures) == ("done", [("m", 1), ("m", 2)], [("m", True)])
    assert time.monotonic() - begun >= 0.2
    assert engine.polls < 10


def test_a_passing_failure_that_stayed_is_tried_by_the_next_run(tmp_path: Path) -> None:
    plan = plan_of([stage("m", "measure", device="d0")], ["m"])
    assert run(tmp_path, ChosenEngine(lambda a: failed(a, "EngineError")), plan)[0] == "failed"
    engine = ChosenEngine(done)
    assert run(tmp_path, engine, plan)[0] == "done"
    assert engine.started == [("m", 4)]


def test_a_tainted_measurement_stands_until_it_is_asked_for_again(tmp_path: Path) -> None:
    plan = plan_of([stage("i", "import"), stage("m", "measure", "i", device="d0")], ["m"])

    def disturbed(attempt: Attempt) -> Report:
        reasons = ["others took 20 % of the cores' time", "1 foreign thread wanted the cores"]
        return Done(attempt.stage.id, attempt.number, marked(attempt.stage, tainted=reasons), 1.0, "w")

    assert run(tmp_path, ChosenEngine(disturbed), plan)[0] == "done"
    outcome = cell_outcome(plan, plan.cells[0], read_ledger(tmp_path))
    assert (outcome.status, outcome.error_class, outcome.failed_stage) == ("tainted", None, None)
    assert outcome.error == "others took 20 % of the cores' time; 1 foreign thread wanted the cores"
    unasked = ChosenEngine(done)
    run(tmp_path, unasked, plan)
    assert unasked.started == []
    asked = ChosenEngine(done)
    assert run(tmp_path, asked, plan, retry_failed=True)[0] == "done"
    assert asked.started == [("m", 2)]
    assert cell_outcome(plan, plan.cells[0], read_ledger(tmp_path)).status == "done"


def test_tainted_measurements_alone_can_be_asked_for_again(tmp_path: Path) -> None:
    plan = plan_of(
        [stage("i", "import"), *(stage(name, "measure", "i", device="d0") for name in ("bad", "dirty", "clean"))],
        ["bad", "dirty", "clean"],
    )

    def answer(attempt: Attempt) -> Report:
        if attempt.stage.id == "bad":
            return failed(attempt)
        if attempt.stage.id == "dirty":
            return Done("dirty", attempt.number, marked(attempt.stage, tainted=["others took the cores"]), 1.0, "w")
        return done(attempt)

    assert run(tmp_path, ChosenEngine(answer), plan)[0] == "failed"
    asked = ChosenEngine(done)
    assert run(tmp_path, asked, plan, retry_tainted=True)[0] == "failed"
    assert asked.started == [("dirty", 2)]
    assert read_ledger(tmp_path).failed.keys() == {"bad"}


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(tmp_path: Path) -> None:
    first = ChosenEngine(lambda a: KeyboardInterrupt() if a.stage.id == "t2" else done(a))
    assert run(tmp_path, first)[0] == "interrupted"
    state = read_ledger(tmp_path)
    assert state.last_status == "interrupted"
    before = set(state.done)
    assert {"i", "l1", "l2"} <= before
    second = ChosenEngine(done)
    assert run(tmp_path, second)[0] == "done"
    assert not before & {stage_id for stage_id, _ in second.started}


def test_a_ctrl_c_that_a_library_swallows_is_not_lost(tmp_path: Path) -> None:
    def swallow(attempt: Attempt) -> Report:
        if attempt.stage.id == "l1":
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        return done(attempt)

    engine = ChosenEngine(swallow)
    with OrderlyEnd():
        assert run(tmp_path, engine)[0] == "interrupted"
        assert run(tmp_path, ChosenEngine(done))[0] == "done"
    assert not any(stage_id.startswith("m") for stage_id, _ in engine.started)


def test_a_result_whose_files_are_gone_is_made_again(tmp_path: Path) -> None:
    def answer(attempt: Attempt) -> Report:
        folder = f"artifacts/{attempt.stage.id}"
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        return Done(attempt.stage.id, attempt.number, marked(attempt.stage, dir=folder, files={}), 1.0, "w")

    plan = plan_of([stage("i", "import"), stage("l", "lower", "i")], ["l"])
    run(tmp_path, ChosenEngine(answer), plan)
    (tmp_path / "artifacts" / "l").rmdir()
    again = ChosenEngine(answer)
    run(tmp_path, again, plan)
    assert again.started == [("l", 2)]


def test_no_time_left_starts_nothing_more(tmp_path: Path) -> None:
    engine = ChosenEngine(done)
    status, _ = run(tmp_path, engine, max_seconds=0.0)
    assert status == "stopped"
    assert engine.started == [("i", 1)]


def test_what_was_skipped_says_why_until_another_run_begins(tmp_path: Path) -> None:
    assert run(tmp_path, ChosenEngine(done), max_seconds=0.0)[0] == "stopped"
    plan, state = diamond(), read_ledger(tmp_path)
    outcome = cell_outcome(plan, plan.cells[0], state)
    assert (outcome.status, outcome.error, outcome.error_class) == ("skipped", "no time left", None)
    state.apply({"seq": state.seq + 1, "t": 0.0, "event": "run_started"})
    assert cell_outcome(plan, plan.cells[0], state).status == "pending"


def test_who_was_not_asked_for_is_pending_and_not_skipped(tmp_path: Path) -> None:
    run(tmp_path, ChosenEngine(done), max_seconds=0.0, only="model=m0")
    plan, state = diamond(), read_ledger(tmp_path)
    assert [cell_outcome(plan, cell, state).status for cell in plan.cells] == ["skipped"] + 3 * ["pending"]


class Slow(ChosenEngine):
    """An attempt takes a second of a clock that a test turns; one that `hangs` never ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Answer = done, hangs: str = "") -> None:
        super().__init__(answer)
        self.now_s, self.limits, self._hangs = 0.0, {}, hangs
        monkeypatch.setattr("sweep.running.driver.time.monotonic", lambda: self.now_s)

    def start(self, attempt: Attempt) -> None:
        self.limits[attempt.stage.id] = attempt.limit_s
        super().start(attempt)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        self.now_s += 1.0
        self._queue = [attempt for attempt in self._queue if attempt.stage.id != self._hangs]
        return super().poll(timeout_s)


def cut(attempt: Attempt) -> Done:
    return Done(
        attempt.stage.id, attempt.number, marked(attempt.stage, is_cut_short=attempt.stage.kind == "tune"), 1.0, "w"
    )


def test_a_tuner_cut_short_by_the_run_goes_on_in_the_next_and_its_cells_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Slow(monkeypatch, cut)
    assert run(tmp_path, first, max_seconds=100.0)[0] == "done"
    assert [stage_id for stage_id, limit in first.limits.items() if limit is not None] == ["t2"]
    again = Slow(monkeypatch, done)
    status, watcher = run(tmp_path, again)
    assert (status, again.started) == ("done", [("t2", 2), ("b2", 2), ("m2", 2)])
    assert sorted(watcher.settled) == [(0, True), (1, False), (2, True), (3, True)]
    third = Slow(monkeypatch, done)
    assert run(tmp_path, third)[0] == "done"
    assert third.started == []


def test_a_tuner_that_had_no_time_for_a_trial_has_no_cells_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(attempt: Attempt) -> Done:
        result = marked(attempt.stage, is_cut_short=attempt.stage.kind == "tune", tasks=[{"valid": 0}])
        return Done(attempt.stage.id, attempt.number, result, 1.0, "w")

    engine = Slow(monkeypatch, nothing)
    assert run(tmp_path, engine, max_seconds=100.0)[0] == "stopped"
    state = read_ledger(tmp_path)
    assert (state.stopped, state.started) == ("no time left", set())
    assert set(state.done) == set(diamond().stages) - {"t2", "b2", "m2"}


def test_a_cell_that_has_a_coarse_answer_is_not_skipped_where_there_is_no_time_for_a_finer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Slow(monkeypatch, cut), max_seconds=100.0)
    engine = Slow(monkeypatch, cut)
    assert run(tmp_path, engine, max_seconds=1.0)[0] == "done"
    assert engine.started == []


def test_a_build_older_than_its_tuning_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run is killed between tuning and building."""
    run(tmp_path, Slow(monkeypatch, cut), max_seconds=100.0)
    killed = Slow(monkeypatch, lambda a: KeyboardInterrupt() if a.stage.kind == "build" else done(a))
    assert run(tmp_path, killed)[0] == "interrupted"
    last = Slow(monkeypatch, done)
    assert run(tmp_path, last)[0] == "done"
    assert last.started == [("b2", 3), ("m2", 2)]


def test_what_hangs_is_given_up_soon_after_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Slow(monkeypatch, hangs="m1")
    assert run(tmp_path, engine, max_seconds=60.0)[0] == "stopped"
    assert 70.0 <= engine.now_s <= 75.0
    state = read_ledger(tmp_path)
    assert state.started == {"m1"}
    assert {"m4"} <= set(state.done)


def test_a_cell_that_takes_longer_than_its_minutes_fails_and_the_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_build(attempt: Attempt) -> Report:
        stage = attempt.stage.id
        if stage == "b1":
            return Failed(stage, attempt.number, "BuildFailed", "took longer than 58 s", 58.0, "w")
        return Done(stage, attempt.number, StageResult(), 59.5 if stage == "b3" else 1.0, "w")

    engine = Slow(monkeypatch, slow_build)
    status, watcher = run(tmp_path, engine, cell_seconds=60.0)
    assert (status, engine.limits["b1"], engine.limits["t2"]) == ("failed", 58.0, 60.0)
    assert ("b1", False) in watcher.failures
    failed_stages = read_ledger(tmp_path).failed
    assert {stage: one.error_class for stage, one in failed_stages.items()} == dict.fromkeys(
        ("b1", "m3", "m4"), "CellTimeout"
    )
    assert (
        failed_stages["b1"].error
        == "build took longer than the 58 s left of budget.cell_minutes: took longer than 58 s"
    )
    assert not {"m3", "m4"} & {stage_id for stage_id, _ in engine.started}
    same = Slow(monkeypatch, done)
    run(tmp_path, same, cell_seconds=60.0)
    assert same.started == []
    more = Slow(monkeypatch, done)
    assert run(tmp_path, more, cell_seconds=90.0)[0] == "done"
    assert {stage_id for stage_id, _ in more.started} == {"b1", "m1", "m3", "m4"}


def test_fail_fast(tmp_path: Path) -> None:
    engine = ChosenEngine(lambda a: failed(a) if a.stage.id == "l1" else done(a))
    status, _ = run(tmp_path, engine, fail_fast=True)
    assert status == "stopped"
    assert not any(stage_id.startswith("m") for stage_id, _ in engine.started)


class AtOnce(ChosenEngine):
    """Ends all that runs at each poll, and looks what the ledger has when it is given something to do."""

    capacity: Mapping[str, int] = dict.fromkeys(("compile", "tune", "device:d0", "device:d1"), 9)

    def __init__(self, folder: Path) -> None:
        super().__init__(done)
        self._folder = folder

    def start(self, attempt: Attempt) -> None:
        state = read_ledger(self._folder)
        assert state.started >= {attempt.stage.id}
        assert set(state.done) >= set(attempt.stage.inputs)
        super().start(attempt)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        self.polls += 1
        ended, self._queue = self._queue, []
        return [done(attempt) for attempt in ended]


def test_reports_of_a_poll_are_written_together_before_engine_and_observers_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Suspicious(Watcher):
        def stage_done(self, stage: Stage, result: Mapping[str, Any], seconds: float) -> None:
            assert stage.id in read_ledger(tmp_path).done

    fsync, written = os.fsync, []

    def counted(number: int) -> None:
        fsync(number)
        written.append(read_ledger(tmp_path).seq)

    engine = AtOnce(tmp_path)
    with Ledger(tmp_path) as ledger:
        monkeypatch.setattr(os, "fsync", counted)
        drive(diamond(), engine, ledger, tmp_path, observers=[Suspicious()])
    # run_started, one for the first stage, one a poll (i; both lower; t2, b1, b3; b2, three measures; m2), run_ended
    assert engine.polls == 5
    assert written == [1, 2, 5, 10, 17, 22, 23, 24]


def test_a_ctrl_c_among_reports_waits_until_all_of_them_are_kept(tmp_path: Path) -> None:
    """They have ended, and would be made again."""

    class Impatient(AtOnce):
        def poll(self, timeout_s: float) -> Sequence[Report]:
            reports = super().poll(timeout_s)
            return pressing(reports) if len(reports) == 2 else reports

    def pressing(reports: Sequence[Report]) -> Any:
        for report in reports:
            signal.raise_signal(signal.SIGINT)
            yield report

    with OrderlyEnd():
        assert run(tmp_path, Impatient(tmp_path))[0] == "interrupted"
    assert set(read_ledger(tmp_path).done) == {"i", "l1", "l2"}


def test_what_is_not_started_for_want_of_time_is_not_told_as_an_earlier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of([stage("t", "tune", tuner="a"), stage("m", "measure", "t", device="d0")], ["m"])
    status, watcher = run(tmp_path, Slow(monkeypatch), plan, max_seconds=1.0)
    assert (status, watcher.settled) == ("stopped", [(0, False)])


def test_an_unknown_report_is_a_bug_and_is_not_swallowed(tmp_path: Path) -> None:
    engine = ChosenEngine(lambda a: Done("nobody", 1, StageResult(), 0.0, "w"))
    with pytest.raises(KeyError):
        run(tmp_path, engine)
    assert read_ledger(tmp_path).last_status == "interrupted"


def test_a_clock_that_is_set_back_delays_no_retry(tmp_path: Path) -> None:
    wall_t = iter([1e9, 1e9 + 1, *(1e9 - 3600 * n for n in range(1000))])
    engine = ChosenEngine(lambda a: failed(a, "DeviceLost") if a.number == 1 else done(a))
    begun = time.monotonic()
    with Ledger(tmp_path) as ledger:
        ended = drive(
            plan_of([stage("i", "import")], ["i"]),
            engine,
            ledger,
            tmp_path,
            policy=RetryPolicy(first_delay_s=0.2),
            clock=lambda: next(wall_t),
        )
    assert (ended.status, engine.started) == ("done", [("i", 1), ("i", 2)])
    assert time.monotonic() - begun < 60
    state = read_ledger(tmp_path)
    assert state.last_t is not None
    assert state.first_t is not None
    assert state.last_t < state.first_t


def test_what_was_measured_stands_where_the_line_of_its_tuning_was_destroyed(tmp_path: Path) -> None:
    run(tmp_path, ChosenEngine(done))
    path = tmp_path / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    (lost,) = [n for n, line in enumerate(lines) if b"stage_done" in line and b'"stage":"t2"' in line]
    lines[lost] = bytes(len(lines[lost]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    engine = ChosenEngine(done)
    assert run(tmp_path, engine)[0] == "done"
    assert engine.started == []
