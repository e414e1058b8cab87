from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.results import derive
from sweep.analysis.rows.tuning_rows import (
    few_trials_share,
    pools,
    task_rows,
    trials_to_near,
    trials_to_near_best,
    tuning_columns,
    tuning_curve,
)
from sweep.planning.results.tuning_result import TunedTask, TuneResult
from tests.record.fixtures import sweep_outcome, task_result, tuned, with_untuned_task


@pytest.fixture
def cells(tmp_path: Path) -> list[CellOutcome]:
    """Of two opt levels, tuned by `random` on one device for one target."""
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    return [cell for cell in outcome.cells if cell.cell.tuner == "random"]


def told(cell: CellOutcome, **changes: object) -> CellOutcome:
    return replace(cell, stages={**cell.stages, "tune": replace(tuned(cell), **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("curve", "trials", "seconds", "expected"),
    [
        ([], 64, 9.0, []),
        ([[3, 1.0, 2e-3]], 64, 9.0, [(3, 1.0, 2e-3), (64, 9.0, 2e-3)]),
        ([[3, 1.0, 2e-3], [90, 8.0, 1e-3]], 64, 9.0, [(3, 1.0, 2e-3), (90, 8.0, 1e-3), (90, 9.0, 1e-3)]),
        ([[0, 0.0, 2e-3]], 0, 0.0, [(0, 0.0, 2e-3)]),
    ],
)
def test_a_curve_goes_on_to_where_tuning_ended(
    curve: list[list[float]], trials: int, seconds: float, expected: list[tuple[int, float, float]]
) -> None:
    assert tuning_curve(TuneResult(curve=curve, trials=trials, tuning_s=seconds)) == expected


def test_the_time_in_tasks_that_were_hardly_searched_is_weighted_by_their_calls() -> None:
    searched, hardly, alone, failed = (
        TunedTask("a", trials=40, best_s=2e-3),
        TunedTask("b", weight=3, trials=1, best_s=2e-3),
        TunedTask("c", trivial=True, trials=1, best_s=2e-3),
        TunedTask("d", trials=9),
    )
    assert few_trials_share(TuneResult(tasks=(searched, hardly, alone, failed))) == pytest.approx(0.6)
    assert few_trials_share(TuneResult(tasks=(failed,))) is None


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([], None),
        ([[10, 1.0, 9e-3], [40, 2.0, 1.015e-3], [80, 3.0, 1e-3]], 40),
        ([[10, 1.0, 9e-3], [40, 2.0, 1.03e-3], [80, 3.0, 1e-3]], 80),
        ([[0, 0.0, 1e-3]], None),
    ],
)
def test_near_the_best_is_within_two_percent_of_the_end(curve: list[list[float]], expected: int | None) -> None:
    assert trials_to_near_best(TuneResult(curve=curve)) == expected


def test_columns_of_a_tuned_an_untuned_and_an_unfinished_cell(cells: list[CellOutcome], tmp_path: Path) -> None:
    columns = tuning_columns(cells[0])
    assert (columns["tuning_trials"], columns["tuning_failed"], columns["tuning_naive_trials"]) == (64, 3, 64)
    assert columns["validation_gap_median"] == 0.03
    assert columns["records_dir"].startswith("records/")
    untuned = next(cell for cell in sweep_outcome(tmp_path).cells if cell.cell.tuner == "none")
    assert (tuning_columns(untuned)["tuning_trials"], tuning_columns(untuned)["records_dir"]) == (0, None)
    assert set(tuning_columns(replace(untuned, stages={})).values()) == {None}


def test_members_of_a_pool_add_up_but_its_busy_shares_do_not(cells: list[CellOutcome]) -> None:
    one, other = cells
    [pool] = pools([told(one, tuning_s=60.0), told(other, tuning_s=50.0, utilisation={"search": 0.1})])
    assert (pool["members"], pool["trials"], pool["naive_trials"]) == (2, 128, 128)
    assert pool["failed"] == {"BuildFailed": 4, "MeasureTimeout": 2}
    assert pool["tasks"] == 2  # both members have the same workloads
    assert pool["busy"] == {"search": 0.76, "build": 0.58, "device": 0.45}
    assert pool["wall_s"] == 60.0
    assert pool["seconds_per_trial"] == 60.0 / 128


def test_cells_that_share_a_tune_stage_count_once(cells: list[CellOutcome]) -> None:
    twin = replace(cells[0], cell=replace(cells[0].cell, target="another name"))
    [pool] = pools([cells[0], twin])
    assert (pool["members"], pool["trials"]) == (1, 64)


def test_pools_are_told_apart_by_their_records(tmp_path: Path) -> None:
    summary = derive(sweep_outcome(tmp_path, troubles=False)).summary
    assert [(pool["tuner"], pool["device"], pool["members"]) for pool in summary.tuning] == [
        ("random", "local-1", 2),
        ("xgb", "local-1", 2),
        ("random", "local-2", 2),
        ("xgb", "local-2", 2),
    ]


def test_trials_of_earlier_runs_count_as_spent_but_time_nothing(cells: list[CellOutcome]) -> None:
    [pool] = pools([told(cells[0], trials=4)])
    assert (pool["trials"], pool["trials_in_all"], pool["seconds_per_trial"]) == (4, 64, None)


def test_tuning_that_was_cut_short_has_spared_no_trials(cells: list[CellOutcome]) -> None:
    assert pools([told(cells[0], is_cut_short=True)])[0]["naive_trials"] is None


def test_tasks_that_a_warm_start_knew_say_what_they_took_here_and_elsewhere(cells: list[CellOutcome]) -> None:
    tasks = (
        TunedTask("a", trials=8, valid=8, near_here=2, near_elsewhere=50),
        TunedTask("b", trials=8, valid=8, near_here=3, near_elsewhere=7),
        TunedTask("new", trials=8, valid=8, near_here=6),
    )
    [pool] = pools([told(cells[0], tasks=tasks, warm_started=6, curve=[[8, 1.0, 1e-3]])])
    assert (pool["known_tasks"], pool["near_here"], pool["near_elsewhere"]) == (2, 5, 57)
    assert (pool["warm_started"], pool["near_best"]) == (6, [8])


@pytest.mark.parametrize(
    ("medians_s", "trials"), [([], None), ([None, None], None), ([None, 1.019, 1.0], 2), ([2.0, 1.03, None, 1.0], 4)]
)
def test_trials_until_near_the_best(medians_s: list[float | None], trials: int | None) -> None:
    assert trials_to_near(medians_s) == trials


def test_task_rows_have_share_speed_and_failures(cells: list[CellOutcome]) -> None:
    tasks = [task_result("0", 1e-3, 8, weight=3, flops=2e6), task_result("1", 1e-3, 8, flops=0.0)]
    rows = list(task_rows(told(cells[0], tasks=tasks)))
    assert [row["share"] for row in rows] == [0.75, 0.25]
    assert [row["gflops_per_s"] for row in rows] == [pytest.approx(2.0), None]
    untuned = list(task_rows(with_untuned_task(cells[0])))[1]
    assert (untuned["best_s"], untuned["share"], untuned["valid"]) == (None, None, 0)
    assert untuned["failures_json"] == '{"BuildFailed": 32}'


def test_a_result_of_the_made_up_devices_is_enough(cells: list[CellOutcome]) -> None:
    bare = {"records_dir": "", "trials": 64, "valid": 64, "failed": {}, "tasks": [], "tuning_s": 1.0, "curve": []}
    cell = replace(cells[0], stages={**cells[0].stages, "tune": TuneResult.from_json(bare)})
    assert tuning_columns(cell)["tuning_search_s"] is None
    assert pools([cell])[0]["naive_trials"] is None
