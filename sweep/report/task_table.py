"""The report's tables of tuning tasks, one a model, and its line for each cell with untuned tasks. Knows no medium."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms, plural, significant
from sweep.analysis.rows.results import Results
from sweep.report.tuning_section import Table, share_words

__all__ = ["TaskTable", "task_tables", "untuned_notes"]

Row = Mapping[str, Any]
_NOTES_SHOWN = 12
_NAMES_SHOWN = 6
_MODELS_SHOWN = 24
_TASKS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class TaskTable:
    """The tasks of one tuned cell, the heaviest first."""

    cell_name: str
    about: str
    table: Table
    left_out: int


def task_tables(results: Results) -> tuple[list[TaskTable], int]:
    """A table for each tuned cell, and how many cells that leaves out; cells that share their tuning share a table."""
    by_tuning: dict[str, list[Row]] = {}
    for rows in _by_cell(results.tasks).values():
        by_tuning.setdefault(json.dumps([[row["records_dir"], row["workload"], row["best_s"]] for row in rows]), rows)
    tables = [_task_table(rows) for rows in by_tuning.values()]
    return tables[:_MODELS_SHOWN], max(0, len(tables) - _MODELS_SHOWN)


def untuned_notes(results: Results, shown: int = _NOTES_SHOWN) -> list[str]:
    """A line a cell that was tuned and yet has tasks without a valid trial, which run their untuned schedule."""
    tasks, notes = _by_cell(results.tasks), []
    for cell in results.cells:
        without = [task for task in tasks.get(cell["cell_id"], ()) if not task["valid"]]
        built = cell["untuned_tasks"] if cell.get("records_dir") else None
        count = len(without) if built is None else built
        if not count:
            continue
        of = len(tasks.get(cell["cell_id"], ())) if built is None else built + (cell["tuned_tasks"] or 0)
        told = [f"{task['task']} ({_why(task)})" for task in without[:_NAMES_SHOWN]]
        told += [f"and {len(without) - _NAMES_SHOWN} more"] if len(without) > _NAMES_SHOWN else []
        named = f": {', '.join(told)}" if told else ""
        notes.append(f"{cell['cell_name']}: {count} of {plural(of, 'task')} untuned{named}")
    more = len(notes) - shown
    return notes[:shown] + ([f"... and {plural(more, 'other cell')}"] if more > 0 else [])


def _task_table(rows: Sequence[Row]) -> TaskTable:
    heaviest = sorted(rows, key=lambda row: (row["valid"] > 0, -(row["share"] or 0.0)))
    titles = (
        ("task", "those without a valid trial first, then the heaviest"),
        ("weight", "how often the model calls it"),
        ("of the time", "its share of the sum over the model's tasks"),
        ("µs a call", "the median of the chosen schedule"),
        ("GFLOP/s", "operations a second"),
        ("trials", "over the life of the records"),
        ("failed trials", "of this run, by class"),
        ("winner's curse", "share by which the winner's first time was too low"),
    )
    cells = [
        [
            f"{row['task']}{' (shared)' if row['reused'] else ''}",
            str(row["weight"]),
            share_words(row["share"]),
            "untuned" if row["best_s"] is None else significant(row["best_s"] * 1e6),
            "-" if row["gflops_per_s"] is None else significant(row["gflops_per_s"]),
            f"{row['trials']:,}",
            ", ".join(f"{name} {count:,}" for name, count in json.loads(row["failures_json"]).items()) or "0",
            share_words(row["gap"]),
        ]
        for row in heaviest[:_TASKS_SHOWN]
    ]
    untuned = sum(1 for row in rows if not row["valid"])
    total_s = sum(row["weight"] * row["best_s"] for row in rows if row["best_s"] is not None)
    about = [plural(len(rows), "task"), f"{as_ms(total_s * 1e3)} ms in all"]
    about += [f"without {untuned} untuned"] if untuned else []
    return TaskTable(rows[0]["cell_name"], ", ".join(about), Table(titles, cells), max(0, len(rows) - _TASKS_SHOWN))


def _why(task: Row) -> str:
    """The classes of error; the messages are in tuning_records.parquet."""
    if not task["trials"]:
        return "never tried"
    classes = ", ".join(f"{name} {count:,}" for name, count in json.loads(task["failures_json"]).items())
    return f"{classes or 'none valid'} in {plural(task['trials'], 'trial')}"


def _by_cell(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["cell_id"], []).append(row)
    return groups
