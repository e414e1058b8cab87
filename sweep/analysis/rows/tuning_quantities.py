"""Result columns of a cell's tuning: rows of the table in `sweep.analysis.rows.columns`."""

from __future__ import annotations

from sweep.analysis.formatting import as_duration
from sweep.analysis.rows.column import Column, ColumnType, Detail

__all__ = ["TUNING_COLUMNS"]


def _tuning(
    name: str, meaning: str, unit: str, metric: str, type_: ColumnType = "int64", detail: Detail | None = None
) -> Column:
    return Column(name, type_, meaning, unit, lambda facts: facts.tuning[name], metric, True, detail)


def _count(value: int) -> str:
    return f"{value:,}"


TUNING_COLUMNS = (
    _tuning(
        "tuning_trials",
        "trials of the workloads that it was the first to bring in; 0 for tuner none",
        "trials",
        "tuning/trials",
        detail=Detail("trials", _count, "trials of its tuning", rank=10, is_on_paper=True),
    ),
    _tuning("tuning_valid", "of those, trials that gave a latency", "trials", "tuning/valid_trials"),
    _tuning(
        "tuning_failed",
        "of those, trials that failed",
        "trials",
        "tuning/failed_trials",
        detail=Detail("failed trials", _count, rank=12),
    ),
    _tuning(
        "tuning_naive_trials", "trials that a loop over models would have given it", "trials", "tuning/naive_trials"
    ),
    _tuning(
        "tuning_warm_started",
        "of its trials, schedules that another sweep had found",
        "trials",
        "tuning/warm_started_trials",
    ),
    _tuning(
        "tuning_trials_to_near_best",
        "trials of its pool until the estimate was within 2 % of its last value",
        "trials",
        "tuning/trials_to_near_best",
    ),
    _tuning(
        "tuning_s",
        "wall time of its tuning",
        "s",
        "time/tuning_s",
        "float64",
        Detail("tuning", as_duration, rank=30, is_on_paper=True),
    ),
    _tuning("tuning_search_s", "of the trials above, time of search", "s", "tuning/search_s", "float64"),
    _tuning(
        "tuning_build_s",
        "of the trials above, time of building, all builders together",
        "s",
        "tuning/build_s",
        "float64",
    ),
    _tuning("tuning_measure_s", "of the trials above, time of measuring", "s", "tuning/measure_s", "float64"),
    _tuning("tuning_validate_s", "time of measuring the best candidates again", "s", "tuning/validate_s", "float64"),
    _tuning(
        "few_trials_share",
        "share of the tuned time in tasks that had fewer than 16 trials, of those with a choice",
        "",
        "tuning/few_trials_share",
        "float64",
    ),
    _tuning(
        "validation_gap_median",
        "median over its tasks of the share by which the winner's first time was too low (winner's curse)",
        "",
        "tuning/validation_gap_median",
        "float64",
    ),
    _tuning("records_dir", "folder of the tuning records it was built from; null when untuned", "", "", "text"),
    _tuning("tuned_tasks", "tasks built from a tuning record", "tasks", "", "int32"),
    _tuning(
        "untuned_tasks",
        "tasks built with the untuned schedule: no valid record",
        "tasks",
        "tuning/untuned_tasks",
        "int32",
    ),
)
