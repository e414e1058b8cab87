"""An engine whose footings are lost: brought up again, nothing started meanwhile, and not for ever. Values alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from sweep.engine.kept_engine import MOST_IN_A_ROW, Footing, KeptEngine
from sweep.errors import DeviceLost, EngineDown
from sweep.running.contract import Attempt, Failed, Progress, Report
from sweep.running.driver import RunOptions, drive
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.running.policy import RetryPolicy
from tests.running.plans import diamond, stage
from tests.running.test_driver import ChosenEngine, done, failed


class Ground:
    """A footing that a test takes away."""

    def __init__(self, refusals: int = 0) -> None:
        self.why: str | None = None
        self.refusals = refusals
        self.restored = 0
        self.footing = Footing(lambda: self.why, self.restore)

    def restore(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise DeviceLost("it does not come up")
        self.why = None
        self.restored += 1


class Bench:
    """An engine that reports what a test hands it."""

    def __init__(self) -> None:
        self.capacity: Mapping[str, int] = {"compile": 2}
        self.started: list[Attempt] = []
        self.to_report: list[Report] = []
        self.closed = False

    def start(self, attempt: Attempt) -> None:
        self.started.append(attempt)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        reports, self.to_report = self.to_report, []
        return reports

    def close(self) -> None:
        self.closed = True


def attempt(name: str, number: int = 1) -> Attempt:
    return Attempt(stage(name, "import"), number, {})


def kept(bench: Bench, *grounds: Ground) -> tuple[KeptEngine, list[float]]:
    pauses: list[float] = []
    return KeptEngine(bench, [ground.footing for ground in grounds], pauses.append), pauses


def test_while_all_is_well_everything_passes_through() -> None:
    bench, ground = Bench(), Ground()
    engine, _ = kept(bench, ground)
    one = attempt("a")
    engine.start(one)
    bench.to_report = [Progress("a"), failed(one, "DeviceLost"), done(attempt("b"))]
    assert engine.capacity is bench.capacity
    assert bench.started == [one]
    assert list(engine.poll(0.0)) == [Progress("a"), failed(one, "DeviceLost"), done(attempt("b"))]
    engine.close()
    assert (ground.restored, bench.closed) == (0, True)


def test_nothing_is_started_before_it_is_up_again() -> None:
    bench, ground = Bench(), Ground()
    engine, _ = kept(bench, ground)
    ground.why = "gone"
    engine.start(attempt("a"))
    assert bench.started == []
    engine.poll(0.0)
    assert ([one.stage.id for one in bench.started], ground.restored) == (["a"], 1)


@pytest.mark.parametrize("error_class", ["DeviceLost", "EngineError", "CompilerLost", "EngineDown"])
@pytest.mark.parametrize("is_noticed_first", [True, False])
def test_what_was_under_way_is_lost_with_it(error_class: str, is_noticed_first: bool) -> None:
    """Whether the engine tells of it in the same breath, or later."""
    bench, ground = Bench(), Ground()
    engine, _ = kept(bench, ground)
    shaken, later = attempt("a"), attempt("b")
    engine.start(shaken)
    if is_noticed_first:
        ground.why = "gone"
        engine.poll(0.0)
        bench.to_report = [failed(shaken, error_class)]
    else:
        bench.to_report = [failed(shaken, error_class)]
        ground.why = "gone"
    (report,) = engine.poll(0.0)
    assert isinstance(report, Failed)
    assert report.error_class == "EngineDown"
    engine.poll(0.0)
    engine.start(later)
    bench.to_report = [failed(later, error_class)]
    assert list(engine.poll(0.0)) == [failed(later, error_class)], "it was started afterwards"


def test_a_failure_of_its_own_stays_one_and_a_result_counts() -> None:
    bench, ground = Bench(), Ground()
    engine, _ = kept(bench, ground)
    attempts = [attempt("a"), attempt("b")]
    for one in attempts:
        engine.start(one)
    ground.why = "gone"
    engine.poll(0.0)
    bench.to_report = [failed(attempts[0], "BuildFailed"), done(attempts[1])]
    assert list(engine.poll(0.0)) == [failed(attempts[0], "BuildFailed"), done(attempts[1])]


def test_what_goes_down_again_and_again_ends_the_run() -> None:
    bench, ground = Bench(), Ground()
    engine, pauses = kept(bench, ground)
    for _ in range(MOST_IN_A_ROW):
        ground.why = "gone"
        engine.poll(0.0)
    ground.why = "gone"
    with pytest.raises(EngineDown, match=r"^gone; brought up 3 times in a row without a finished stage between$"):
        engine.poll(0.0)
    assert (ground.restored, pauses) == (MOST_IN_A_ROW, [2.0, 4.0])


def test_a_finished_stage_in_between_begins_the_row_anew() -> None:
    bench, ground = Bench(), Ground()
    engine, _ = kept(bench, ground)
    for _ in range(3 * MOST_IN_A_ROW):
        ground.why = "gone"
        bench.to_report = [done(attempt("a"))]
        engine.poll(0.0)
    assert ground.restored == 3 * MOST_IN_A_ROW


def test_one_that_does_not_come_up_is_tried_as_often_and_no_more() -> None:
    ground = Ground(refusals=MOST_IN_A_ROW - 1)
    ground.why = "gone"
    kept(Bench(), ground)[0].poll(0.0)
    assert ground.restored == 1
    ground = Ground(refusals=100)
    ground.why = "gone"
    with pytest.raises(EngineDown, match=r"^it does not come up; brought up 3 times"):
        kept(Bench(), ground)[0].poll(0.0)
    assert ground.refusals == 100 - MOST_IN_A_ROW


class Quaking(ChosenEngine):
    """Its ground gives way with chosen attempts, which are lost."""

    def __init__(self, ground: Ground, is_lost: Callable[[Attempt], bool]) -> None:
        super().__init__(self._answer)
        self._ground, self._is_lost = ground, is_lost

    def _answer(self, one: Attempt) -> Report:
        if not self._is_lost(one):
            return done(one)
        self._ground.why = "gone"
        return failed(one, "EngineError")


def test_a_run_goes_on_by_itself_and_no_stage_has_used_up_its_attempts(tmp_path: Path) -> None:
    """A stage that meets five losses, more than it has attempts, with others done in between."""
    ground = Ground()
    engine = Quaking(ground, lambda one: one.number <= {"m1": 2, "b2": 3, "t2": 1}.get(one.stage.id, 0))
    status = _driven(tmp_path, KeptEngine(engine, [ground.footing], lambda s: None))
    assert (status, ground.restored) == ("done", 6)
    state = read_ledger(tmp_path)
    assert set(state.done) == set(diamond().stages)


def test_a_keeper_that_is_dead_leaves_what_is_left_to_the_next_run(tmp_path: Path) -> None:
    """No stage fails for it: a night's plan is not burnt."""
    ground = Ground(refusals=100)
    engine = Quaking(ground, lambda one: one.stage.kind == "measure")
    status = _driven(tmp_path, KeptEngine(engine, [ground.footing], lambda s: None))
    state = read_ledger(tmp_path)
    assert (status, state.failed, state.last_status) == ("stopped", {}, "stopped")
    assert state.stopped is not None
    assert state.stopped.startswith("it does not come up; brought up 3 times")

    well = ChosenEngine(done)
    assert _driven(tmp_path, well) == "done"
    assert {name for name, _ in well.started} == set(diamond().stages) - set(state.done)


def _driven(folder: Path, engine: KeptEngine | ChosenEngine) -> str:
    with Ledger(folder) as ledger:
        policy = RetryPolicy(first_delay_s=0.01)
        return drive(diamond(), engine, ledger, folder, options=RunOptions(), policy=policy).status
