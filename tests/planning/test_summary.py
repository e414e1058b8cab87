"""What a plan amounts to, in numbers and in words."""

from __future__ import annotations

import json

import pytest

from sweep.planning.kinds import kind_of
from sweep.planning.planner import make_plan
from sweep.planning.summary import duration, explain
from sweep.planning.trial_limits import ASSUMED_TASKS
from sweep.study.spec import TunerSpec
from tests.planning.grids import TUNERS, cluster, device, model, study

PLAN = make_plan(study(tuners=(TUNERS["none"], TUNERS["random"]), opt_levels=(1, 3)), cluster())


def test_nothing_done() -> None:
    summary = explain(PLAN).as_dict()
    assert summary["cells"] == 2 * 2 * 2 + 2
    assert summary["cells_by_status"] == {"done": 0, "planned": 10}
    assert summary["stages"] == {"import": 1, "lower": 4, "tune": 4, "build": 8, "measure": 10}
    assert summary["naive_stages"] == PLAN.naive
    assert set(summary["cached"].values()) == {0}
    assert summary["estimate_s"]["import"] == kind_of("import").cost_s
    assert summary["estimate_total_s"] == pytest.approx(sum(summary["estimate_s"].values()), abs=1)
    assert summary["naive_estimate_total_s"] > summary["estimate_total_s"]
    json.dumps(summary, allow_nan=False)


def test_trials_are_bounded_by_both_limits() -> None:
    assert explain(PLAN).trials.to_do == 4 * 8 * ASSUMED_TASKS
    limited = make_plan(study(tuners=(TUNERS["xgb"],)), cluster())
    assert explain(limited).trials.to_do == 2 * 100
    assert explain(make_plan(study(tuners=(TUNERS["xgb"],), opt_levels=(1, 3)), cluster())).trials.to_do == 2 * 100


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"trials_per_task": None, "trials_total": 100}, 100),
        ({"trials_per_task": None, "hours": 0.01}, 90),
        ({"trials_per_task": 1, "trials_total": None, "hours": None}, 4 * ASSUMED_TASKS),
        ({"trials_per_task": None, "trials_total": 100, "hours": 0.01}, 90),
    ],
)
def test_limits_of_all_models_together_are_shared_by_them(limits: dict[str, object], most: int) -> None:
    two = study(models=(model("a"), model("b")), tuners=(TunerSpec("t", "ga", limits),), opt_levels=(1, 3))
    assert explain(make_plan(two, cluster(device("one")))).trials.to_do == most


def test_done_stages_are_cached_and_done_cells_are_counted() -> None:
    first = PLAN.cells[0]
    summary = explain(PLAN, set(first.stages))
    assert summary.cells_done == 1
    assert sum(kind.cached for kind in summary.kinds) == len(first.stages)
    assert explain(PLAN, set(PLAN.stages)).remaining_s == 0
    assert explain(PLAN, set(PLAN.stages)).cells_done == len(PLAN.cells)


def test_measured_seconds_replace_the_table() -> None:
    lowered = [stage.id for stage in PLAN.stages.values() if stage.kind == "lower"]
    summary = explain(PLAN, {lowered[0]: 40.0, lowered[1]: 60.0}).as_dict()
    assert summary["estimate_s"]["lower"] == 2 * 50.0
    assert summary["estimate_s"]["import"] == kind_of("import").cost_s
    tuned = [stage.id for stage in PLAN.stages.values() if stage.kind == "tune"]
    assert explain(PLAN, {tuned[0]: 10.0}).as_dict()["estimate_s"]["tune"] == pytest.approx(30.0)


def test_the_text_has_a_row_for_each_kind_and_says_what_was_left_out() -> None:
    board = device("pi", managed=False)
    text = explain(make_plan(study(), cluster(device("one"), board))).as_text()
    lines = text.splitlines()
    assert lines[0] == "s: 3 cells, 0 done"
    assert [line.split()[0] for line in lines[2:8]] == ["stages", "import", "lower", "build", "measure", "all"]
    assert "left out: onnxruntime on pi: it runs on this host, the device is elsewhere" in lines


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (90, "2 min"), (5400, "1.5 h"), (8.64e6, "100.0 days")]
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said
