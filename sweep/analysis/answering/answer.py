"""What the rows of a sweep answer, from the data alone: a sentence a model and device, or one over many of them.

Says what was measured and no more, as `sweep.analysis.answering.standing` tells what is certain and what is open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.answering.best_words import RETRY_TAINTED, counted, describe_best
from sweep.analysis.answering.objective_words import nearest_of_each, objective_lines
from sweep.analysis.answering.over_all import describe_all
from sweep.analysis.answering.predicted import audit_of, is_predicted_out
from sweep.analysis.answering.standing import Best, best_cells
from sweep.analysis.formatting import plural
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.results import Results
from sweep.analysis.rows.runtime_rows import group_key, has_compiled, is_compiled_row, is_refused
from sweep.analysis.rows.unchecked import NOT_COMPARED, is_unchecked, left_out

__all__ = ["answer"]

Row = Mapping[str, Any]
_SPELLED_OUT = 3
"""Up to so many model-device pairs the answer names each; beyond, it gives the range."""


def answer(results: Results) -> str:
    """The study's question answered from the data alone: a sentence, or one a model and device where these are few."""
    rows = results.cells
    best = best_cells(rows)
    without = [f"Left out: {cells}."] if (cells := left_out(rows)) else []
    without += objective_lines(rows)
    if not best:
        told = [_nothing_measured(rows)] if not nearest_of_each(rows) else []
        return "\n".join([*told, *without])
    told = [f"{describe_best(one)}." for one in best] if len(best) <= _SPELLED_OUT else [describe_all(best, rows)]
    return _so_far(rows) + "\n".join([*told, *_unknown_groups(best, rows), *_not_measured(results), *without])


def _so_far(rows: Sequence[Row]) -> str:
    """What an answer is without, where cells may still come."""
    open_rows = (row for row in rows if not is_predicted_out(row) and not is_refused(row))
    counts = Counter(row["status"] for row in open_rows)
    to_come = {status: counts[status] for status in ("pending", "skipped") if counts[status]}
    return f"So far ({counted(to_come)}): " if to_come else ""


def _not_measured(results: Results) -> list[str]:
    """What the planner spared, and how right it was."""
    rows = results.cells
    spared, audit = sum(map(is_predicted_out, rows)), audit_of(rows)
    if not spared:
        planner = results.summary.conditions.get("planner") or {}
        is_told = planner.get("prune") and not audit.measured  # one that may skip none says nothing by it
        return (
            ["The planner skipped no cell: it was sure of none, with 99 %, that another is faster."] if is_told else []
        )
    were, each = ("was", "it is") if spared == 1 else ("were", "each is")
    told = f"{spared} of {plural(len(rows), 'cell')} {were} not measured: {each} predicted to be slower than the best"
    told += " of its model and device, with 99 %."
    if audit.measured:
        told += f" Of {plural(audit.measured, 'such cell')} measured all the same, {audit.too_slow or 'none'} "
        told += f"{'were' if audit.too_slow > 1 else 'was'} faster than predicted."
    return [told]


def _unknown_groups(best: Sequence[Best], rows: Sequence[Row]) -> list[str]:
    """Groups that the best cells do not speak of."""
    known = {group_key(one.row) for one in best} | set(nearest_of_each(rows))
    unknown = [row for row in rows if group_key(row) not in known]
    if not unknown:
        return []
    groups = len({group_key(row) for row in unknown})
    told = _without_latency(unknown, compiles=has_compiled(rows))
    return [f"In {groups} of {groups + len(known)} model-device pairs: {told[:1].lower()}{told[1:]}"]


def _nothing_measured(rows: Sequence[Row]) -> str:
    return _without_latency(rows, compiles=has_compiled(rows)) if rows else "There is no cell: the grid is empty."


def _without_latency(rows: Sequence[Row], *, compiles: bool) -> str:
    """Of groups where nothing that competes has a latency: with the commonest error, where cells failed."""
    of = ""
    if compiles and any(Reading.of(row).bound for row in rows):  # another runtime has one
        of, rows = " of a compiled cell", [row for row in rows if is_compiled_row(row)]
        if not rows:
            return f"No latency{of}: there is none."
    counts = Counter(NOT_COMPARED if is_unchecked(row) else row["status"] for row in rows)
    causes = Counter((row["error_class"], row["failed_stage"]) for row in rows if row["status"] == "failed")
    if causes:
        (error_class, stage), _ = causes.most_common(1)[0]
        return f"No latency{of}: {counted(counts)}, mostly by {error_class} in {stage}."
    if counts[NOT_COMPARED]:
        return f"No latency{of} that can be relied on: {counted(counts)}."
    if counts["tainted"]:
        return f"No latency{of} that can be relied on yet: {counted(counts)} ({RETRY_TAINTED})."
    return f"No latency{of} yet: {counted(counts)}."
