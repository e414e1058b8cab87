"""One self-contained HTML page: opens from a file, on a phone, in print, with no network and no server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sweep.analysis.answer import Best, answer, best_cells, configuration, untuned_note
from sweep.analysis.results import NO_TUNER, REFERENCE, Results
from sweep.analysis.wording import as_bytes, as_duration, as_ms, as_times, plural
from sweep.report.columns import Column, best_ids, detail_columns, main_columns, ranked, varies
from sweep.report.figures import Figure, figures
from sweep.report.tasks import task_tables, untuned_notes
from sweep.report.tuning import failure_table, pool_table, sentences

__all__ = ["conditions", "failures", "render_page"]

Row = Mapping[str, Any]
_ROWS_SHOWN = 2000
"""A table of more rows makes a phone stand still; the CSV has them all."""
_CARDS_SHOWN = 12
_FIGURES_SHOWN = 40
"""In a section."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the ranked table."""

    css: str
    filters: Mapping[str, str]
    cells: Sequence[tuple[str, float | None]]
    """Text, and what to sort by."""
    link: str | None


def render_page(results: Results, run_link: str | None = None) -> str:
    """The page as text, a few MB of it the plotting library.

    run_link: address of an MLflow run with `{run_id}` in it; the rows of the table then link to their runs.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("sweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = figures(results)
    shown = _not_too_many(drawn)
    rows = ranked(results.cells)
    best = best_ids(rows)
    model = [Column("model", lambda row: str(row["model"]))] if varies(rows, "model") else []
    columns = [*model, *main_columns(rows), *detail_columns(rows)]
    summary = results.summary
    return environment.get_template("page.html.jinja").render(
        summary=summary,
        answer=answer(results).splitlines(),
        counts=_counts(results),
        started=datetime.fromtimestamp(summary.started_t, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        took=as_duration(summary.ended_t - summary.started_t),
        cards=[_card(one) for one in best_cells(results.cells)[:_CARDS_SHOWN]],
        columns=columns,
        lines=[_line(row, columns, best, run_link) for row in rows[:_ROWS_SHOWN]],
        left_out=max(0, len(rows) - _ROWS_SHOWN),
        filters=_filters(rows),
        sections=_sections(shown, has_tuning=bool(summary.tuning)),
        tuning=_tuning(results),
        undrawn=Counter(one.section for one in drawn) - Counter(one.section for one in shown),
        figures=_script_json([{"data": one.data, "layout": one.layout} for one in shown]),
        failures=failures(rows),
        stage_counts=summary.stage_counts,
        stage_states=list(dict.fromkeys(state for counts in summary.stage_counts.values() for state in counts)),
        stage_seconds={kind: as_duration(seconds) for kind, seconds in summary.stage_seconds.items()},
        conditions=list(conditions(summary.conditions)),
        plotly=get_plotlyjs() if shown else "",
    )


def failures(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """Cells with no result or with a tainted one by class and stage, most first; each with a few reasons and cells."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["status"] in ("failed", "skipped", "tainted"):
            groups.setdefault((row["status"], row["error_class"] or "", row["failed_stage"] or ""), []).append(row)
    return [
        {
            "status": status,
            "error_class": error_class,
            "stage": stage,
            "count": len(group),
            "reasons": Counter(row["error"] or "no reason recorded" for row in group).most_common(5),
            "cells": [row["cell_name"] for row in group[:10]],
            "more": max(0, len(group) - 10),
        }
        for (status, error_class, stage), group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def conditions(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value, nested ones with a dotted name, those that are not known left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from conditions(value, f"{prefix}{name}.")
        elif value is not None and value != "":
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            is_size = name.endswith("_bytes") and isinstance(value, int)
            yield f"{prefix}{name}".removesuffix("_bytes" if is_size else ""), as_bytes(value) if is_size else text


def _counts(results: Results) -> str:
    counts = Counter(row["status"] for row in results.cells)
    told = [f"{count} {status}" for status, count in counts.items() if status != "done"]
    return ", ".join([plural(len(results.cells), "cell"), f"{counts['done']} done", *told])


def _card(best: Best) -> Mapping[str, Any]:
    row, facts = best.row, []
    if row["tuner"] != NO_TUNER and row["speedup_vs_untuned"] is not None:
        facts.append((f"{as_times(row['speedup_vs_untuned'])} faster than untuned", "good"))
    ratio = row["ratio_to_onnxruntime"]
    if ratio is not None and ratio <= 1:
        facts.append((f"{as_times(1 / ratio)} faster than ONNX Runtime", "good"))
    elif ratio is not None:
        facts.append((f"still {as_times(ratio)} slower than ONNX Runtime", "bad"))
    if note := untuned_note(row):
        facts.append((note, "bad"))
    if best.ties:
        facts.append((f"{plural(best.ties, 'other cell')} cannot be told apart from it", ""))
    batch = "" if best.batch == 1 else f", batch {best.batch}"
    return {
        "where": f"{best.model} on {best.device}{batch}",
        "ms": as_ms(row["latency_ms_median"]),
        "how": configuration(row),
        "facts": facts,
    }


def _line(row: Row, columns: Sequence[Column], best: frozenset[str], run_link: str | None) -> _Line:
    css = "best" if row["cell_id"] in best else "reference" if row["runtime"] == REFERENCE else str(row["status"])
    run_id = row["mlflow_run_id"]
    return _Line(
        css=css,
        filters=_filter_values(row),
        cells=[(column.text(row), column.value(row) if column.value else None) for column in columns],
        link=run_link.format(run_id=run_id) if run_link and run_id else None,
    )


def _filter_values(row: Row) -> dict[str, str]:
    return {name: str(row[name]) for name in ("model", "device", "target", "tuner", "status")}


def _filters(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Values to choose from, for what has more than one."""
    values: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in _filter_values(row).items():
            if value != "-":
                values.setdefault(name, {})[value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def _tuning(results: Results) -> Mapping[str, Any]:
    """What the section on tuning says beside its pictures."""
    tasks, left_out = task_tables(results)
    pools = results.summary.tuning
    return {
        "sentences": sentences(pools),
        "untuned": untuned_notes(results),
        "pools": pool_table(pools),
        "failures": failure_table(pools),
        "tasks": tasks,
        "left_out": left_out,
    }


def _sections(shown: Sequence[Figure], has_tuning: bool) -> dict[str, list[tuple[int, Figure]]]:
    """Pictures with their index, section by section; that on tuning has more than pictures."""
    sections: dict[str, list[tuple[int, Figure]]] = {}
    if has_tuning:
        before = [figure.section for figure in shown if figure.section not in ("Tuning", "Where the time went")]
        sections = {name: [] for name in [*dict.fromkeys(before), "Tuning"]}
    for index, figure in enumerate(shown):
        sections.setdefault(figure.section, []).append((index, figure))
    return sections


def _not_too_many(found: Sequence[Figure]) -> list[Figure]:
    seen: Counter[str] = Counter()
    kept = []
    for figure in found:
        seen[figure.section] += 1
        if seen[figure.section] <= _FIGURES_SHOWN:
            kept.append(figure)
    return kept


def _script_json(value: object) -> str:
    """JSON that can stand inside a script element, whatever the names in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
