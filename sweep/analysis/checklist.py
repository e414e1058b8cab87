"""One table a model of what was found out about it: size, accuracy, checks. Pure, from the rows of a sweep."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms
from sweep.analysis.rows.results import Results
from sweep.analysis.rows.runtime_rows import is_compiled_row, runtime_title

__all__ = ["Checklist", "checklists", "is_worth_showing"]

Row = Mapping[str, Any]
_FLOATS = ("float32", "float64")
_UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Checklist:
    """Of a model."""

    model: str
    lines: Sequence[tuple[str, str]]
    """What was asked, and what was found."""


def checklists(results: Results) -> list[Checklist]:
    """One a model, in the order of the study."""
    by_model: dict[str, list[Row]] = {}
    for row in results.cells:
        by_model.setdefault(row["model"], []).append(row)
    trained = {each["model"]: each for each in results.summary.training}
    date = time.strftime("%Y-%m-%d", time.gmtime(results.summary.ended_t))
    return [Checklist(model, list(_lines(model, rows, by_model, trained, date))) for model, rows in by_model.items()]


def is_worth_showing(results: Results) -> bool:
    """Whether it says more than a table of latencies: of variants, of accuracy."""
    return any(row.get("variant_of") or row.get("accuracy") is not None for row in results.cells)


def _lines(
    model: str, rows: Sequence[Row], models: Mapping[str, Sequence[Row]], trained: Mapping[str, Any], date: str
) -> Iterator[tuple[str, str]]:
    first = next((row for row in rows if row.get("parameters") is not None), rows[0])
    if first.get("variant_of"):
        how = first["variant_step"] if first["variant_step"] == first["variant_method"] else _how(first)
        yield "made of", f"{first['variant_of']}: {how} at {first['variant_level']:.0%}"
    yield "sparse rate", _sparse_rate(first)
    found, original = _accuracy(model, models, trained), _original(model, models, trained)
    yield "accuracy", _percent(found)
    yield "original accuracy", _UNKNOWN if original is None else f"{_percent(original[1])} ({original[0]})"
    yield "date", date
    yield "input shape", first.get("input_shapes") or _UNKNOWN
    yield "compiler pass", _compiled(rows)
    yield "nnz", _of_weights(first)
    yield "dense operations", _operations(first.get("macs_dense"))
    yield "sparse operations", _operations(first.get("macs_sparse"))
    for title, text in _checks(rows):
        yield f"check: {title}", text
    yield "quantised accuracy", _quantised(rows) or "no quantised cell was evaluated"


def _how(row: Row) -> str:
    return f"{row['variant_step']} {row['variant_method']}"


def _sparse_rate(row: Row) -> str:
    zeros = row.get("sparsity")
    gone = row.get("parameters_removed")
    told = _UNKNOWN if zeros is None else f"{zeros:.1%} of the weights are zero"
    return told if gone is None else f"{told}; {gone:.1%} of the parameters are gone"


def _of_weights(row: Row) -> str:
    if row.get("nnz") is None:
        return _UNKNOWN
    return f"{row['nnz']:,} of weights, sparsity {row.get('sparsity') or 0.0:.1%}; {row['parameters']:,} parameters"


def _operations(macs: int | None) -> str:
    return _UNKNOWN if macs is None else f"{macs:,} MACs, {2 * macs:,} FLOPs"


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{share:.2%}"


def _accuracy(model: str, models: Mapping[str, Sequence[Row]], trained: Mapping[str, Any]) -> float | None:
    """Of its floats, compiled here where such a cell was evaluated; else as its training counted."""
    rows = [row for row in models.get(model, ()) if row.get("accuracy") is not None and row["precision"] in _FLOATS]
    for wanted in (True, False):
        for row in rows:
            if is_compiled_row(row) is wanted:
                return float(row["accuracy"])
    return trained[model]["accuracy"] if model in trained else None


def _original(
    model: str, models: Mapping[str, Sequence[Row]], trained: Mapping[str, Any]
) -> tuple[str, float | None] | None:
    """What it is held against: the dense one of the same training, or else what it is made of; itself where that is
    none.
    """
    if model in trained:
        of = trained[model]["of"]
        dense = [each["model"] for each in trained.values() if each["of"] == of and not each["level"]]
        if dense:
            return dense[0], _accuracy(dense[0], models, trained)
    base = next((row["variant_of"] for row in models.get(model, ()) if row.get("variant_of")), model)
    found = _accuracy(base, models, trained)
    return None if found is None else (base, found)


def _compiled(rows: Sequence[Row]) -> str:
    """The fastest cell that was compiled here, by its level."""
    done = [row for row in rows if is_compiled_row(row) and row.get("latency_ms_median") is not None]
    if not done:
        failed = next((row["error"] for row in rows if is_compiled_row(row) and row.get("error")), None)
        return f"no: {failed}" if failed else "not compiled"
    best = min(done, key=lambda row: row["latency_ms_median"])
    left_out = f", passes left out: {best['passes_left_out']}" if best.get("passes_left_out") else ""
    return f"yes: O{best['opt_level']}, {as_ms(best['latency_ms_median'])} ms on {best['device']}{left_out}"


def _checks(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Of each runtime, by the worst of its cells."""
    for title in dict.fromkeys(map(runtime_title, rows)):
        of_runtime = [row for row in rows if runtime_title(row) == title]
        failed = [row for row in of_runtime if row["status"] in ("failed", "skipped") and row.get("error")]
        distances = [
            row["output_cosine_distance"] for row in of_runtime if row.get("output_cosine_distance") is not None
        ]
        if distances:
            told = f"outputs agree, cosine distance {max(distances):.1e}"
            yield title, f"{told}; {len(failed)} of {len(of_runtime)} cells failed" if failed else told
        elif failed:
            yield title, f"no: {failed[0]['error']}"
        else:
            yield title, next((row["output_check_reason"] for row in of_runtime if row.get("output_check_reason")), "-")


def _quantised(rows: Sequence[Row]) -> str:
    evaluated = [row for row in rows if row.get("accuracy") is not None and "int" in str(row["precision"])]
    best: dict[tuple[str, str], float] = {}
    for row in evaluated:
        key = (str(row["precision"]), runtime_title(row))
        best[key] = max(best.get(key, 0.0), float(row["accuracy"]))
    return ", ".join(f"{precision} {_percent(found)} ({title})" for (precision, title), found in best.items())
