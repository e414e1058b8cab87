"""The results as text for other tools and places: Markdown, CSV, JSON. Knows no files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.objective_words import nearest_of_each
from sweep.analysis.answering.pareto import COSTS, front, grouped
from sweep.analysis.answering.precision_questions import question_lines
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.checklist import is_worth_showing
from sweep.analysis.formatting import as_tags, plural
from sweep.analysis.layout_lines import layout_lines
from sweep.analysis.left_out_passes import left_out_lines
from sweep.analysis.rooflines.placed_layers import roofline_words
from sweep.analysis.rows.advice_rows import advice_words
from sweep.analysis.rows.objective_fit import limit_words, objective_of
from sweep.analysis.rows.results import Results
from sweep.analysis.rows.unchecked import unchecked_lines
from sweep.files.schema_ids import schema_id
from sweep.plain_text import as_csv_cell
from sweep.plain_text import as_markdown as plain
from sweep.report.checklist_text import as_checklist
from sweep.report.choice_table import CHOICES, are_many, best_of_each, choice_lines
from sweep.report.page import conditions
from sweep.report.roofline_table import TITLES, layer_cells, roof_words
from sweep.report.table import failure_lines, time_line
from sweep.report.table_columns import TableColumn, fastest, final_note, main_columns, ranked, rows_each
from sweep.report.task_table import untuned_notes
from sweep.report.tuning_section import pool_table, sentences
from sweep.study.axes import compared_within, value_in

__all__ = ["as_csv", "as_json", "as_markdown"]

Row = Mapping[str, Any]
_LAYERS = 12


def as_csv(results: Results) -> str:
    """A row a cell with every column of results.parquet; empty where there is no value."""
    stream = io.StringIO()
    names = list(results.cells[0]) if results.cells else ["cell_id"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: as_csv_cell(value) for name, value in row.items()} for row in results.cells)
    return stream.getvalue()


def _objective(rows: Sequence[Row]) -> dict[str, Any]:
    """What the study wants of a cell, and where no cell keeps to it; nothing where it has no limits."""
    wanted = next((found for row in rows if (found := objective_of(row)) is not None), None)
    if wanted is None:
        return {}
    nearest = [
        {"cell_id": row["cell_id"], "cell_name": row["cell_name"], "why_not": limit_words(row)}
        for row in nearest_of_each(rows).values()
    ]
    fronts = {
        cost: [row["cell_id"] for group in grouped(rows) for row in front(group, cost)]
        for cost in COSTS
        if any(row.get(cost) is not None for row in rows)
    }
    asked = {"minimise": wanted.minimise, "subject_to": dict(wanted.subject_to)}
    return {"objective": asked, "nearest": nearest, "pareto": fronts}


def _rooflines(results: Results) -> Sequence[Row]:
    return results.summary.rooflines


def as_json(results: Results) -> str:
    """Question, answer, summary and cells."""
    told = {
        "$id": schema_id("report", 1),
        "study": results.summary.study,
        "question": results.summary.question,
        "answer": answer(results),
        "best": [
            {
                **{axis: value_in(one.row, axis) for axis in compared_within()},
                "cell_id": one.row["cell_id"],
                "latency_bound": one.reading.bound,
                "latency_ms": one.known_ms,
                "is_certain": one.own.is_certain,
                "ship": one.to_ship.row["cell_id"] if one.to_ship else one.row["cell_id"],
                "open": [row["cell_id"] for row in one.still_open],
            }
            for one in best_cells(results.cells)
        ],
        **_objective(results.cells),
        **(
            {"rooflines": [{"words": roofline_words(row), **row} for row in rows]}
            if (rows := _rooflines(results))
            else {}
        ),
        **({"advice": list(map(advice_words, advice))} if (advice := results.summary.advice) else {}),
        "questions": question_lines(results.cells),
        "summary": asdict(results.summary),
        "cells": list(results.cells),
    }
    return json.dumps(told, indent=1, allow_nan=False, default=str)


def as_markdown(results: Results) -> str:
    """A page of Markdown (GitHub's), short enough for a comment there: question, answer, the fastest cells, failures.

    Tuning and conditions are folded.
    """
    summary = results.summary
    parts = [f"# {plain(summary.question or summary.study)}", *map(plain, answer(results).splitlines())]
    parts += final_note(results.cells)
    parts += [f"Tags: {plain(as_tags(summary.tags))}."] if summary.tags else []
    parts += [f"- {plain(line)}" for line in question_lines(results.cells)]
    if summary.advice:
        parts += ["## Layers to keep in float32", "\n".join(f"- {plain(advice_words(row))}" for row in summary.advice)]
    parts += _tables(results.cells)
    lines = failure_lines(results.cells)
    if lines:
        parts += ["## Failed, skipped or tainted", "\n".join(f"- {plain(line)}" for line in lines)]
    if unchecked := unchecked_lines(results.cells):
        parts += ["## Outputs compared with nothing", "\n".join(f"- {plain(line)}" for line in unchecked)]
    if without := left_out_lines(results.cells):
        parts += ["## Passes left out", "\n".join(f"- {plain(line)}" for line in without)]
    if slow := layout_lines(results.cells):
        parts += ["## Slow layouts", "\n".join(f"- {plain(line)}" for line in slow)]
    if notes := untuned_notes(results):
        parts += ["## Tasks without a valid trial", "\n".join(f"- {plain(line)}" for line in notes)]
    if pools := results.summary.tuning:
        table = pool_table(pools)
        lines = ["| " + " | ".join(plain(text, is_cell=True) for text in row) + " |" for row in table.rows]
        heading = "| " + " | ".join(title for title, _ in table.titles) + " |"
        rule = "| --- " + "| ---: " * (len(table.titles) - 1) + "|"
        parts += [*map(plain, sentences(pools)), *_folded("Tuning, by pool", "\n".join([heading, rule, *lines]))]
    if is_worth_showing(results):
        parts += _folded("Checklist of each model", as_checklist(results, level=3))
    for row in summary.rooflines:
        parts += ["## Roofline", plain(roofline_words(row)), plain(f"{roof_words(row)}."), _layers(row)]
    if times := time_line(results):
        parts += ["## Where the time went", plain(f"{times}.")]
    known = [f"- {plain(name)}: {plain(value)}" for name, value in conditions(summary.conditions)]
    if known:
        parts += _folded("Conditions", "\n".join(known))
    return "\n\n".join(parts) + "\n"


def _layers(row: Row) -> str:
    """The layers of a network that take longest."""
    rule = ["---", *["---:"] * (len(TITLES) - 1)]
    lines = [TITLES, rule, *map(layer_cells, row["layers"][:_LAYERS])]
    return "\n".join(f"| {' | '.join(plain(text, is_cell=True) for text in line)} |" for line in lines)


def _tables(cells: Sequence[Row]) -> list[str]:
    """The fastest cells of each place; of many places the best of each, and how each tuner and level does."""
    if are_many(cells):
        titles, lines = choice_lines(cells)
        rule = ["---", "---", *["---:"] * (len(titles) - 2)]
        choices = "\n".join(
            f"| {' | '.join(plain(text, is_cell=True) for text in line)} |" for line in (titles, rule, *lines)
        )
        best = [f"Of {plural(len(cells), 'cell')}; means are geometric.", "## Best of each place"]
        return [f"## {CHOICES}", choices, *best, _table(*best_of_each(cells))]
    parts, each = [], rows_each(cells)
    for model in dict.fromkeys(row["model"] for row in cells):
        rows = ranked([row for row in cells if row["model"] == model])
        shown, left_out = fastest(rows, each)
        parts += [f"## {plain(model)}", _table(main_columns(rows), shown)]
        parts += [f"... and {plural(left_out, 'slower or failed cell')}"] if left_out else []
    return parts


def _table(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    heading = " | ".join(column.title for column in columns)
    rule = " | ".join("---:" if column.value else "---" for column in columns)
    lines = [" | ".join(plain(column.text(row), is_cell=True) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in (heading, rule, *lines))


def _folded(title: str, text: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", text, "</details>"]
