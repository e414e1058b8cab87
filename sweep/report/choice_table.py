"""What a text shows of many places: the best of each alone, and how often each tuner and level is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.answering.by_choice import ChoiceSummary, by_choice
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.formatting import as_times
from sweep.analysis.rows.results import NO_TUNER
from sweep.analysis.rows.runtime_rows import baseline_title, group_key
from sweep.report.table_columns import TableColumn, main_columns, varies

__all__ = ["CHOICES", "are_many", "best_of_each", "choice_lines"]

Row = Mapping[str, Any]
_MANY = 20
"""Places beyond which nobody reads the cells of each."""
CHOICES = "How often each tuner and level is best"


def are_many(rows: Sequence[Row]) -> bool:
    """Whether there are too many places to show cells of each."""
    return len({group_key(row) for row in rows}) > _MANY


def best_of_each(rows: Sequence[Row]) -> tuple[list[TableColumn], list[Row]]:
    """Columns, and the best known cell of each place that has one."""
    model = [TableColumn("model", lambda row: str(row["model"]), keep=12)] if varies(rows, "model") else []
    return [*model, *main_columns(rows)], [one.row for one in best_cells(rows)]


def choice_lines(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Titles, and a line for each tuner and level."""
    best = best_cells(rows)
    found = by_choice(best, rows)
    has_baseline, has_speedup = any(one.to_baseline for one in found), any(one.speedup for one in found)
    titles = ["tuner", "level", "best in", "beyond doubt", "measured in"]
    titles += [f"time / {baseline_title(rows, short=True)}"] if has_baseline else []
    titles += ["speed-up"] if has_speedup else []
    return titles, [_line(one, has_baseline, has_speedup) for one in found]


def _line(one: ChoiceSummary, has_baseline: bool, has_speedup: bool) -> list[str]:
    told = [
        "untuned" if one.tuner == NO_TUNER else one.tuner,
        f"O{one.opt_level}",
        f"{one.best_in:,}",
        f"{one.certain_in:,}",
        f"{one.places:,}",
    ]
    told += [_mean(one.to_baseline, one.to_baseline_in, one.places)] if has_baseline else []
    return told + ([_mean(one.speedup, one.speedup_in, one.places)] if has_speedup else [])


def _mean(value: float | None, places: int, of: int) -> str:
    """A geometric mean, with its places where they are not all."""
    return as_times(value) + (f" ({places:,})" if value is not None and places != of else "")
