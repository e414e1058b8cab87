"""One self-contained HTML page: opens from a file, on a phone, in print, with no network and no server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.precision_questions import question_lines
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.checklist import checklists, is_worth_showing
from sweep.analysis.formatting import as_bytes, as_duration, as_tags, plural
from sweep.analysis.layout_lines import layout_lines
from sweep.analysis.left_out_passes import left_out_lines
from sweep.analysis.rows.advice_rows import advice_words
from sweep.analysis.rows.results import Results
from sweep.analysis.rows.unchecked import unchecked_lines
from sweep.plain_text import visible, web_address
from sweep.planning.kinds import STAGE_KINDS
from sweep.report.best import best_table, cards
from sweep.report.content_policy import content_policy
from sweep.report.device_table import device_table, natives
from sweep.report.figures import Figure, figures
from sweep.report.figures.drawing import drawing_scripts, packed_library, page_script, pictures_json
from sweep.report.layer_error_table import layer_error_tables
from sweep.report.next_steps import DIR, next_steps
from sweep.report.quality_table import quality_table
from sweep.report.ranking import ranking
from sweep.report.table_columns import final_note, ranked
from sweep.report.task_table import task_tables, untuned_notes
from sweep.report.tuning_section import failure_table, pool_table, sentences

__all__ = ["OWN_UI", "conditions", "failures", "render_page"]

Row = Mapping[str, Any]
_FIGURES_SHOWN = 40
"""In a section."""
OWN_UI_PORT = 5000
OWN_UI = f"http://127.0.0.1:{OWN_UI_PORT}"
"""Where `sweep ui DIR` serves when it is told nothing else."""
_VERSIONS = "versions."


def render_page(results: Results, sweep_dir: str = DIR) -> str:
    """The page as text, two MB of it the plotting library. Rows link to their MLflow runs, where they have one.

    sweep_dir: as commands name it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    table_script = page_script("table.js")
    environment = Environment(
        loader=PackageLoader("sweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    drawn = figures(results)
    shown = _not_too_many(drawn)
    rows = ranked(results.cells)
    best = best_cells(results.cells)
    summary, server = results.summary, web_address(results.summary.mlflow_url)
    layer_errors, layer_errors_left_out = layer_error_tables(results)
    about = list(conditions(summary.conditions))
    return environment.get_template("page.html.jinja").render(
        summary=summary,
        answer=answer(results).splitlines(),
        answer_notes=final_note(results.cells),
        questions=question_lines(results.cells),
        quality=quality_table(rows),
        counts=_counts(results),
        tags=as_tags(summary.tags),
        started=datetime.fromtimestamp(summary.started_t, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        took=as_duration(summary.took_s),
        cards=cards(best),
        best=best_table(best),
        next_steps=next_steps(best, sweep_dir),
        has_more_steps=len(best) > len(next_steps(best, sweep_dir)),
        sweep_dir=sweep_dir,
        has_server=bool(server),
        ui_port=OWN_UI_PORT,
        # MLflow's own short address of a run, which leads to its experiment
        ranking=ranking(rows, f"{server or OWN_UI}/#/runs/"),
        sections=_sections(shown, has_tuning=bool(summary.tuning)),
        tuning=_tuning(results),
        layer_errors=layer_errors,
        layer_errors_left_out=layer_errors_left_out,
        advice=[advice_words(row) for row in summary.advice],
        undrawn=Counter(figure.section for figure in drawn) - Counter(figure.section for figure in shown),
        figures=pictures_json(shown),
        failures=failures(rows),
        unchecked=unchecked_lines(rows, len(rows)),
        checklists=checklists(results) if is_worth_showing(results) else [],
        passes_left_out=left_out_lines(rows, len(rows)),
        slow_layouts=layout_lines(rows, len(rows)),
        simulated=any(_is_simulated(row) for row in rows),
        stage_counts={kind: summary.stage_counts[kind] for kind in _in_order(summary.stage_counts)},
        stage_states=list(dict.fromkeys(state for counts in summary.stage_counts.values() for state in counts)),
        stage_seconds={kind: as_duration(seconds) for kind, seconds in summary.stage_seconds.items()},
        devices=device_table(results.cells),
        natives=natives(results.cells),
        conditions=[(name, text) for name, text in about if not name.startswith(_VERSIONS)],
        versions=[(name.removeprefix(_VERSIONS), text) for name, text in about if name.startswith(_VERSIONS)],
        plotly=packed_library() if shown else "",
        table_script=table_script,
        figures_script=page_script("figures.js"),
        content_policy=content_policy([table_script, *drawing_scripts()]),
    )


def _shown(value: object) -> object:
    """What a template writes: of what is not markup, what cannot be seen is written out."""
    return visible(value) if type(value) is str else value


def _is_simulated(row: Row) -> bool:
    """Whether the simulated engine made a cell's times up, as their conditions say."""
    return bool(json.loads(row["conditions_json"] or "{}").get("simulated"))


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
    others = [f"{count} {status}" for status, count in counts.items() if status != "done"]
    return ", ".join([plural(len(results.cells), "cell"), f"{counts['done']} done", *others])


def _in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds of stages in the order of the work, then what else there is."""
    given, known = list(kinds), STAGE_KINDS.names()
    return [kind for kind in known if kind in given] + [kind for kind in given if kind not in known]


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


def _not_too_many(drawn: Sequence[Figure]) -> list[Figure]:
    seen: Counter[str] = Counter()
    kept = []
    for figure in drawn:
        seen[figure.section] += 1
        if seen[figure.section] <= _FIGURES_SHOWN:
            kept.append(figure)
    return kept
