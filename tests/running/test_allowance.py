"""How the time of a run and of a cell is shared out."""

from __future__ import annotations

import pytest

from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan
from sweep.running.allowance import Allowance, grace_s
from sweep.running.ledger.state import FinishedStage
from tests.running.plans import plan_of, stage


def grid(tuners: str = "ab", modules: int = 1) -> Plan:
    """An untuned cell, and for each tuner a tuned one of each lowered module."""
    stages = [stage("i", "import"), *(stage(f"l{n}", "lower", "i") for n in range(modules))]
    stages += [stage("b", "build", "l0"), stage("m", "measure", "i", "b", device="d0")]
    ends = ["m"]
    for tuner in tuners:
        for number in range(modules):
            name = f"{tuner}{number}"
            stages += [
                stage(f"t{name}", "tune", f"l{number}", tuner=tuner),
                stage(f"b{name}", "build", f"l{number}", f"t{name}"),
                stage(f"m{name}", "measure", "i", f"b{name}", device="d0"),
            ]
            ends.append(f"m{name}")
    return plan_of(stages, ends)


def took(kind: str, seconds: float) -> FinishedStage:
    return FinishedStage(kind, StageResult(), seconds, 1, 0.0)


BASELINE = {"i": took("import", 2.0), "l0": took("lower", 1.0), "b": took("build", 4.0), "m": took("measure", 6.0)}


def test_without_limits_nothing_is_limited() -> None:
    plan = grid()
    allowance = Allowance(plan, BASELINE)
    assert {allowance.of(one, 1e9).seconds for one in plan.stages.values()} == {None}


def test_tuners_share_what_is_left_and_what_follows_them_is_kept_back() -> None:
    plan = grid("abc")
    allowance = Allowance(plan, BASELINE, run_s=1000.0, tuners_at_once=1)
    first = allowance.of(plan.stages["ta0"], 100.0)
    # 900 s are left, 10 of each turn for a build and a measurement as long as those of the baseline
    assert first.seconds == pytest.approx(0.95 * (900 - 10) / 3)
    assert first.by_run
    allowance.ended(plan.stages["ta0"])  # at once: it had nothing to do
    second = allowance.of(plan.stages["tb0"], 100.0)
    assert second.seconds == pytest.approx(0.95 * (900 - 15) / 2)
    side_by_side = Allowance(plan, BASELINE, run_s=1000.0, tuners_at_once=3)
    assert side_by_side.of(plan.stages["ta0"], 100.0).seconds == pytest.approx(0.95 * (900 - 30))


def test_where_there_is_too_little_for_all_the_first_have_enough() -> None:
    plan = grid("abcd")
    allowance = Allowance(plan, BASELINE, run_s=100.0)
    first, second, third = (
        allowance.of(plan.stages[name], now_s).seconds for name, now_s in (("ta0", 10.0), ("tb0", 70.0), ("tc0", 99.5))
    )
    assert (first, second, third) == (pytest.approx(0.95 * 60), pytest.approx(0.95 * (30 - 40 / 3)), 0.0)


def test_what_tunes_together_ends_together() -> None:
    plan = grid("a", modules=2)
    allowance = Allowance(plan, BASELINE, run_s=100.0)
    first, later = (allowance.of(plan.stages[name], now_s) for name, now_s in (("ta0", 10.0), ("ta1", 30.0)))
    assert first.seconds is not None
    assert later.seconds == pytest.approx(first.seconds - 20.0)


def test_a_tuner_without_time_is_not_started_and_the_rest_may_go_on() -> None:
    plan = grid("a")
    allowance = Allowance(plan, BASELINE, run_s=100.0)
    assert allowance.of(plan.stages["ta0"], 99.0).seconds == 0.0
    assert allowance.of(plan.stages["ma0"], 99.0).seconds is None


def test_a_cell_has_what_the_work_before_it_has_left_and_a_pool_that_for_each_module() -> None:
    plan = grid("a", modules=3)
    allowance = Allowance(plan, {**BASELINE, "ta0": took("tune", 500.0), "ba0": took("build", 40.0)}, cell_s=60.0)
    assert allowance.of(plan.stages["i"], 0.0).seconds == 60.0
    assert allowance.of(plan.stages["ma0"], 0.0).seconds == 60.0 - 2.0 - 1.0 - 40.0
    assert allowance.of(plan.stages["ta1"], 0.0).seconds == 3 * 60.0
    assert not allowance.of(plan.stages["ta1"], 0.0).by_run
    assert not Allowance(plan, {}, cell_s=1.0, run_s=1000.0).of(plan.stages["ta1"], 0.0).by_run


@pytest.mark.parametrize(("max_seconds", "grace"), [(0.0, 10.0), (600.0, 30.0), (36000.0, 120.0)])
def test_what_runs_may_end_within_a_twentieth(max_seconds: float, grace: float) -> None:
    assert grace_s(max_seconds) == grace
