"""The checklists of a sweep as Markdown: a heading and a table a model."""

from __future__ import annotations

from sweep.analysis.checklist import checklists
from sweep.analysis.rows.results import Results
from sweep.plain_text import as_markdown as plain

__all__ = ["as_checklist"]


def as_checklist(results: Results, level: int = 2) -> str:
    """level: of the headings."""
    parts = [] if level > 2 else [f"# {plain(results.summary.study)}: checklist"]
    for one in checklists(results):
        lines = [f"| {plain(title, is_cell=True)} | {plain(text, is_cell=True)} |" for title, text in one.lines]
        parts += [f"{'#' * level} {plain(one.model)}", "\n".join(["| | |", "| --- | --- |", *lines])]
    return "\n\n".join(parts) + ("\n" if level <= 2 else "")
