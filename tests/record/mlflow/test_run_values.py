from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.compiling import BuildResult
from sweep.record.mlflow import run_values as rows
from sweep.study.axes import FIRST, axis_names
from tests.record.fixtures import STARTED_T, TAINT, measured, sweep_outcome, tainted
from tests.record.fixtures import tuned as tuning


@pytest.fixture
def tuned(tmp_path: Path) -> CellOutcome:
    return next(cell for cell in sweep_outcome(tmp_path).cells if cell.cell.tuner == "random")


def values(outcome: CellOutcome, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in rows.metrics(outcome, STARTED_T) if point.name == name]


def test_params_are_the_axes_and_nothing_else(tmp_path: Path) -> None:
    for outcome in sweep_outcome(tmp_path).cells:
        params = rows.params(outcome)
        assert tuple(params) == FIRST  # the further ones are at their default
        assert tuple(rows.params(outcome, varied=axis_names())) == axis_names()
        assert all(params.values())


def test_each_repeat_is_a_step(tuned: CellOutcome) -> None:
    run_secs = measured(tuned).run_secs
    assert values(tuned, "repeats/latency_ms") == [(step, value * 1e3) for step, value in enumerate(run_secs)]
    assert len(values(tuned, "repeats/warmup_latency_ms")) == 1


def test_the_numbers_of_a_cell_are_those_of_its_repeats(tuned: CellOutcome) -> None:
    """Each by a number: the interval of the median of 1 to 9 ms is from the second smallest to the second largest."""
    run_secs = tuple(value / 1e3 for value in (5, 1, 9, 2, 8, 3, 7, 4, 6))
    measure = replace(measured(tuned), run_secs=run_secs, warmup_secs=(0.02,), number=4)
    outcome = replace(tuned, stages={**tuned.stages, "measure": measure})
    expected = {
        "latency_ms_median": 5.0,
        "spread/latency_ms_ci_low": 2.0,
        "spread/latency_ms_ci_high": 8.0,
        "spread/latency_ms_min": 1.0,
        "spread/latency_ms_max": 9.0,
        "spread/latency_ms_mean": 5.0,
        "spread/latency_ms_std": 7.5**0.5,
        "output/max_abs_diff": 3.1e-6,
        "output/cosine_distance": 1.2e-9,
        "size/peak_memory_bytes": 48 << 20,
        "size/artifact_bytes": 5_400_000,
        "time/build_s": 6.1,
        "time/tuning_s": tuning(tuned).tuning_s,
        "tuning/trials": 64,
        "tuning/valid_trials": 61,
        "tuning/failed_trials": 3,
        "tuning/naive_trials": 64,
        "tuning/warm_started_trials": 0,
        "tuning/search_s": 6.1,
        "tuning/build_s": 12.0,
        "tuning/measure_s": 9.4,
        "tuning/validate_s": 1.5,
        "tuning/validation_gap_median": 0.03,
        "tuning/untuned_tasks": 0,
    }
    assert {name: values(outcome, name) for name in expected} == {
        name: [(0, pytest.approx(value))] for name, value in expected.items()
    }
    assert values(outcome, "repeats/warmup_latency_ms") == [(0, pytest.approx(20))]
    # Four calls a repeat: the first of 5 ms each ends 20 ms after the start, the second of 1 ms each 4 ms later
    times = [point.t_ms for point in rows.metrics(outcome, STARTED_T) if point.name == "repeats/latency_ms"]
    assert [t_ms - times[0] for t_ms in times[:3]] == [0, 4, 40]


def test_a_tainted_cell_is_mirrored_with_its_numbers_and_reasons(tuned: CellOutcome) -> None:
    disturbed = tainted(tuned)
    assert rows.STATUS[disturbed.status] == "FINISHED"
    (median,) = values(disturbed, "latency_ms_median")
    assert median[1] == pytest.approx(values(tuned, "latency_ms_median")[0][1] / 2)
    assert len(values(disturbed, "repeats/latency_ms")) == 10
    tags = rows.cell_tags(disturbed, "sweeps/x")
    assert tags["sweep.latency_bound"] == "upper"
    assert (tags["sweep.status"], tags["sweep.error"]) == ("tainted", TAINT)


def test_the_tuning_curve_is_a_falling_staircase_against_trials_and_milliseconds(tuned: CellOutcome) -> None:
    by_trial, by_ms = values(tuned, "tuning/best_ms"), values(tuned, "tuning/best_ms_over_time")
    for curve in (by_trial, by_ms):
        steps, best = [step for step, _ in curve], [value for _, value in curve]
        assert steps == sorted(set(steps))
        assert best == sorted(best, reverse=True)
    assert by_trial[-1][0] == 64
    assert by_ms[-1][0] == pytest.approx((tuning(tuned).tuning_s or 0.0) * 1e3, abs=1)
    corners = dict(by_trial)
    falls = tuning(tuned).curve
    late = next(i for i in range(1, len(falls)) if falls[i][0] - falls[i - 1][0] > 1)
    assert corners[falls[late][0] - 1] == pytest.approx(falls[late - 1][2] * 1e3)


def test_what_tuning_cost_and_gave_is_recorded(tuned: CellOutcome, tmp_path: Path) -> None:
    told = {point.name: point.value for point in rows.metrics(tuned, STARTED_T) if point.name.startswith("tuning/")}
    for name, value in {
        "trials": 64,
        "failed_trials": 3,
        "search_s": 6.1,
        "build_s": 12.0,
        "measure_s": 9.4,
        "validation_gap_median": 0.03,
        "untuned_tasks": 0,
    }.items():
        assert told[f"tuning/{name}"] == value
    untuned = next(cell for cell in sweep_outcome(tmp_path).cells if cell.cell.tuner == "none")
    assert not [point for point in rows.metrics(untuned, STARTED_T) if point.name.startswith("tuning/")]


def test_a_wrong_output_is_recorded_but_no_latency(tuned: CellOutcome) -> None:
    wrong = replace(tuned, status="failed", error_class="OutputMismatch", error="off by 3", failed_stage="measure")
    assert values(wrong, "latency_ms_median") == []
    assert values(wrong, "repeats/latency_ms") == []
    tags = rows.cell_tags(wrong, "/sweep")
    assert (tags["sweep.status"], tags["sweep.error_class"]) == ("failed", "OutputMismatch")
    assert "failed in measure" in tags["mlflow.note.content"]


def test_content_changes_with_anything_recorded(tuned: CellOutcome) -> None:
    assert rows.content_hash(tuned) == rows.content_hash(replace(tuned))
    assert rows.content_hash(tuned) != rows.content_hash(replace(tuned, attempts=9))
    stages = {**tuned.stages, "build": BuildResult(artifact_bytes=1)}
    assert rows.content_hash(tuned) != rows.content_hash(replace(tuned, stages=stages))


def test_a_run_lasts_as_long_as_its_stages_and_ends_at_its_measurement(tuned: CellOutcome) -> None:
    start_ms, end_ms = rows.span(tuned, now=0.0)
    assert end_ms == round((STARTED_T + 303) * 1e3)
    assert end_ms - start_ms == pytest.approx(sum(tuned.stage_seconds.values()) * 1e3, abs=1)


def test_a_long_error_is_cut(tuned: CellOutcome) -> None:
    tags = rows.cell_tags(replace(tuned, status="failed", error="x" * 10_000, error_class="BuildFailed"), "/sweep")
    assert max(map(len, tags.values())) < 5000
