"""Columns of the table that people read, the same in the terminal, in Markdown and on the page. Knows no medium."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.answering.best_words import untuned_note
from sweep.analysis.answering.standing import marks
from sweep.analysis.formatting import as_bytes, as_ms, as_percent
from sweep.analysis.rows.column import Column, Detail
from sweep.analysis.rows.columns import result_columns
from sweep.analysis.rows.duels import how_held, took_part
from sweep.analysis.rows.objective_fit import fit_of, is_in_the_running
from sweep.analysis.rows.results import NO_TUNER
from sweep.analysis.rows.runtime_rows import (
    GroupKey,
    baseline_title,
    group_key,
    has_compiled,
    is_compiled_row,
    runtime_title,
)
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.analysis.statistics import why_unstable
from sweep.planning.results.final_result import SIDE_BY_SIDE
from sweep.report.ratio_texts import ALIKE, against_baseline, against_untuned, in_same_precision
from sweep.study.axes import axes_under, compared_within, value_in
from sweep.study.axis import Axis
from sweep.study.profile_options import MEMORY

__all__ = [
    "TableColumn",
    "detail_columns",
    "fastest",
    "final_note",
    "main_columns",
    "ranked",
    "rows_each",
    "tuner_name",
    "varies",
]

Row = Mapping[str, Any]
_LINES, _MOST_EACH, _FEWEST_EACH = 240, 40, 3
"""Of a text; of a place in it, at most and at least."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the table."""

    title: str
    text: Callable[[Row], str]
    axis: str | None = None
    """Left out where all rows agree on this axis."""
    value: Callable[[Row], float | None] | None = None
    """For sorting, where the column holds numbers."""
    is_compared: bool = False
    """Left out where no cell has a value for it."""
    is_on_paper: bool = True
    """Whether it stays when the page is printed."""
    keep: int = 0
    """Where there is no room, columns go, the least of these first."""
    about: str = ""
    """What it says, for whoever points at it."""


def ranked(rows: Sequence[Row]) -> list[Row]:
    """By model, then device, both in the order of the study, then median; what does not keep the limits of the study's
    objective comes after what does, and what has no latency last.
    """
    models, devices = (
        {name: index for index, name in enumerate(dict.fromkeys(row[axis] for row in rows))}
        for axis in ("model", "device")
    )

    def key(row: Row) -> tuple[Any, ...]:
        median = row["latency_ms_median"]
        work = (value_in(row, axis) for axis in compared_within() if axis not in ("model", "device"))
        is_out = median is not None and not is_in_the_running(row)
        return models[row["model"]], devices[row["device"]], *work, median is None, is_out, median or 0.0

    return sorted(rows, key=key)


def rows_each(rows: Sequence[Row]) -> int:
    """How many cells of a place a text shows, so that the whole of it can be read and pasted."""
    groups = len({group_key(row) for row in rows})
    return max(_FEWEST_EACH, min(_MOST_EACH, _LINES // max(1, groups)))


def fastest(rows: Sequence[Row], each: int) -> tuple[list[Row], int]:
    """The first so many compiled cells of each place with the other runtimes there, and how many that leaves out.

    rows: ranked.
    """
    seen: Counter[GroupKey] = Counter()
    shown = []
    for row in rows:
        seen[group_key(row)] += is_compiled_row(row)
        if seen[group_key(row)] <= each or not is_compiled_row(row):
            shown.append(row)
    return shown, len(rows) - len(shown)


def varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether rows differ on this axis; where any is compiled, these alone count: the others have no such choice."""
    only_compiled = has_compiled(rows)
    return len({value_in(row, axis) for row in rows if is_compiled_row(row) or not only_compiled}) > 1


def main_columns(rows: Sequence[Row]) -> list[TableColumn]:
    """Those that answer a study: where, with what, how fast, against what."""
    marked, baseline = marks(rows), baseline_title(rows)
    columns = [
        TableColumn("device", lambda row: str(row["device"]), keep=7),
        TableColumn("target", lambda row: str(row["target"]), axis="target", keep=5),
        TableColumn("tuner", tuner_name, keep=9),
        TableColumn(
            "opt", lambda row: "-" if row["opt_level"] is None else f"O{row['opt_level']}", keep=9, about="opt level"
        ),
        *(_of_axis(axis) for axis in axes_under()),
        _number("median ms", "latency_ms_median", as_ms, keep=10, about="median latency of one call, in milliseconds"),
        TableColumn(
            "memory",
            lambda row: "-" if _memory(row) is None else as_bytes(_memory(row)),
            value=_memory,
            is_compared=True,
            keep=8,
            about="peak memory above idle, of the cells that observe it",
        ),
        TableColumn(
            "±",
            _spread,
            value=_half_width,
            is_compared=True,
            keep=4,
            about="half the 95 % interval of the median, as a share of it",
        ),
        TableColumn(
            "speed-up",
            against_untuned,
            value=lambda row: row["speedup_vs_untuned"],
            is_compared=True,
            keep=6,
            about="how many times as fast as untuned with the same other axes: above 1 is faster",
        ),
        TableColumn(
            f"time / {baseline_title(rows, short=True)}",
            against_baseline,
            value=lambda row: row["ratio_to_baseline"],
            is_compared=True,
            keep=8,
            about=f"its time over that of {baseline} on the same device, by the medians: above 1 is slower"
            + ("; how they stood in the final, the answer tells" if any(map(took_part, rows)) else ""),
        ),
        *_in_same_precision(rows, baseline),
        TableColumn(
            "status",
            lambda row: _status(row, marked),
            keep=11,
            about="best: of its model on its device; so far: others may be faster, as the answer tells; faster: beyond "
            "doubt than the best undisturbed one; beyond limits: of the study's objective; not compared: nobody knows "
            "whether its outputs are right; passes left out: its level did without those that refuse the network; few "
            "repeats, wide interval: its time is not sure yet",
        ),
    ]
    return [
        column
        for column in columns
        if (column.axis is None or varies(rows, column.axis))
        and (not column.is_compared or any(column.value and column.value(row) is not None for row in rows))
    ]


def _in_same_precision(rows: Sequence[Row], baseline: str) -> list[TableColumn]:
    """Where the baseline was measured in several precisions: a float cell is then held against its float one too."""
    if all(row.get(ALIKE) in (None, row["ratio_to_baseline"]) for row in rows):
        return []
    about = f"its time over the least of {baseline} in the same precision; the column before is by its fastest of any"
    shown = TableColumn(
        "same precision",
        in_same_precision,
        value=lambda row: row.get(ALIKE),
        is_compared=True,
        keep=7,
        about=about,
    )
    return [shown]


def final_note(rows: Sequence[Row]) -> list[str]:
    """Why the answer may give another ratio than the table; nothing where no final was held."""
    held = dict.fromkeys(how_held(row) for row in rows if took_part(row))
    how = " or ".join("ran side by side" if each == SIDE_BY_SIDE else "took turns" for each in held)
    told = f"The answer is by the final, in which the best {how}; times and ratios of the table are from before it."
    reasons = dict.fromkeys(row.get("final_in_turns_because") for row in rows if took_part(row))
    return [told, *(f"Not side by side: {reason}." for reason in reasons if reason)] if held else []


def detail_columns(rows: Sequence[Row]) -> list[TableColumn]:
    """More, where there is room: what it cost, and how sure it is."""
    details = sorted((column for column in result_columns() if column.detail), key=_rank)
    columns = [_of_detail(column, column.detail) for column in details if column.detail]
    return [column for column in columns if any(column.text(row) != "-" for row in rows)]


def tuner_name(row: Row) -> str:
    """What chose the schedules; of a cell that is not compiled, its runtime."""
    if not is_compiled_row(row):
        return runtime_title(row)
    return "untuned" if row["tuner"] == NO_TUNER else str(row["tuner"])


def _of_axis(axis: Axis) -> TableColumn:
    def value(row: Row) -> Any:
        return value_in(row, axis.name)

    is_number = axis.type != "text"
    return TableColumn(
        axis.name,
        lambda row: "-" if value(row) is None else str(value(row)),
        axis=axis.name,
        value=value if is_number else None,
        keep=axis.keep,
    )


def _number(title: str, key: str, show: Callable[[Any], str], keep: int = 0, about: str = "") -> TableColumn:
    return TableColumn(
        title,
        lambda row: "-" if row[key] is None else show(row[key]),
        value=lambda row: row[key],
        keep=keep,
        about=about,
    )


def _rank(column: Column) -> int:
    return column.detail.rank if column.detail else 0


def _of_detail(column: Column, detail: Detail) -> TableColumn:
    def value(row: Row) -> Any:
        return None if column.is_of_tuning and not row["tuning_s"] else row.get(column.name)

    return TableColumn(
        detail.title,
        lambda row: "-" if value(row) is None else detail.text(value(row)),
        value=None if column.type in ("text", "bool") else value,
        is_compared=True,
        is_on_paper=detail.is_on_paper,
        about=detail.about or column.meaning,
    )


def _memory(row: Row) -> int | None:
    """Of a cell that observes it: one that is timed has its process for other things too."""
    found: int | None = row.get("peak_memory_bytes") if value_in(row, "variable") == MEMORY else None
    return found


def _half_width(row: Row) -> float | None:
    low, high = row["latency_ms_ci_low"], row["latency_ms_ci_high"]
    return None if low is None or high is None else float((high - low) / 2 / row["latency_ms_median"])


def _spread(row: Row) -> str:
    share = _half_width(row)
    return "-" if share is None else as_percent(share)


def _status(row: Row, marked: Mapping[str, str]) -> str:
    if row["status"] == "failed":
        return f"failed in {row['failed_stage']}"
    mark = [marked[row["cell_id"]]] if row["cell_id"] in marked else []
    mark += ["not compared"] if is_unchecked(row) else []
    fit = fit_of(row)
    mark += ["beyond limits"] if fit.broken else []
    mark += ["passes left out"] if row.get("passes_left_out") else []
    mark += ["random weights"] if row.get("weights") == "random" else []
    if row["status"] != "done":
        return ", ".join([str(row["status"]), *mark])
    is_sure = row["is_stable"] or row["repeats"] is None  # of what observes memory there are none
    told = mark + ([] if is_sure else [why_unstable(row["repeats"])])
    return ", ".join(told + ([note] if (note := untuned_note(row)) else []))
