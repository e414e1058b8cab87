"""Result columns of how far a cell came, how it stood in a final, and its time on the usual machine: rows of the table
in `sweep.analysis.rows.columns`.
"""

from __future__ import annotations

import json
from typing import Any

from sweep.analysis.formatting import as_tags, as_times
from sweep.analysis.rows.column import CellFacts, Column, ColumnType, Detail

__all__ = ["ADJUSTED_COLUMNS", "FINAL_COLUMNS", "STATUS_COLUMNS"]


def _predicted_ms(facts: CellFacts, end: str) -> float | None:
    predicted = facts.outcome.predicted
    return None if predicted is None else getattr(predicted, end) * 1e3


STATUS_COLUMNS = (
    Column(
        "status",
        "text",
        "done, tainted (measured, but disturbed each time), failed, skipped or pending",
        value=lambda facts: facts.outcome.status,
    ),
    Column(
        "error_class",
        "text",
        "class of the error that ended a failed cell",
        value=lambda facts: facts.outcome.error_class,
    ),
    Column(
        "error",
        "text",
        "its message; the reason of a skipped cell; the disturbances of a tainted one",
        value=lambda facts: facts.outcome.error,
    ),
    Column("failed_stage", "text", "kind of the stage that failed", value=lambda facts: facts.outcome.failed_stage),
    Column(
        "kept",
        "text",
        "what is another version since it was measured, of a cell that `sweep run --keep` left as it was",
        value=lambda facts: facts.outcome.kept,
        detail=Detail("kept", rank=15),
    ),
    Column(
        "predicted_latency_ms",
        "float64",
        "what the measured cells said that it takes, of a cell that was skipped by it or measured to audit it",
        "ms",
        value=lambda facts: _predicted_ms(facts, "typical_s"),
    ),
    Column(
        "predicted_low_ms",
        "float64",
        "the predicted latency is below this with 1 %",
        "ms",
        value=lambda facts: _predicted_ms(facts, "low_s"),
    ),
    Column(
        "predicted_high_ms",
        "float64",
        "the predicted latency is above this with 1 %",
        "ms",
        value=lambda facts: _predicted_ms(facts, "high_s"),
    ),
    Column(
        "attempts",
        "int32",
        "attempts of all stages of the cell",
        "attempts",
        lambda facts: facts.outcome.attempts,
    ),
    Column(
        "tags",
        "text",
        "of its study and of its own, as JSON; null where there is none",
        value=lambda facts: json.dumps(dict(sorted(facts.outcome.tags.items()))) if facts.outcome.tags else None,
        detail=Detail("tags", lambda tags: as_tags(json.loads(tags)), rank=16),
    ),
)


def _final(
    name: str,
    type_: ColumnType,
    part: str,
    meaning: str,
    unit: str = "",
    by: float = 1.0,
    detail: Detail | None = None,
) -> Column:
    def value(facts: CellFacts) -> Any:
        place = facts.outcome.final
        found = None if place is None else getattr(place, part)
        return found * by if isinstance(found, float) else found

    return Column(name, type_, meaning, unit, value, detail=detail)


FINAL_COLUMNS = (
    _final("final", "text", "final", "id of the final in which it took turns with the best of its model and device"),
    _final(
        "final_ratio_to_best",
        "float64",
        "ratio",
        "its time in the final over that of the fastest compiled one, by rounds; 1 for that one",
        "x",
        detail=Detail("time / best in final", as_times, rank=5, is_on_paper=True),
    ),
    _final("final_ratio_to_best_ci_low", "float64", "ci_low", "lower end of the ratio's 99 % interval", "x"),
    _final("final_ratio_to_best_ci_high", "float64", "ci_high", "upper end of the ratio's 99 % interval", "x"),
    _final("final_ms_median", "float64", "median_s", "median of its slots in the final, disturbed or not", "ms", 1e3),
    _final(
        "final_ms_ci_high",
        "float64",
        "most_s",
        "upper end of the 95 % interval of that median: what it takes at most, as far as the final tells",
        "ms",
        1e3,
    ),
    _final("final_rounds", "int32", "rounds", "rounds of the final, two slots of each cell in each", "rounds"),
    _final("final_s", "float64", "took_s", "time of the final, of all of its cells together", "s"),
    _final(
        "final_held",
        "text",
        "held",
        "in turns, or side by side: in pairs at the same moment, which makes the times in it longer, and not the ratio",
    ),
    _final(
        "final_in_turns_because",
        "text",
        "in_turns_because",
        "why, of a device of a study that asks for it side by side",
    ),
)

ADJUSTED_COLUMNS = tuple(
    Column(
        f"latency_ms_adjusted{part}",
        "float64",
        f"{of} where the sentinel kernel takes its usual time: log time = cell + round + elasticity x log kernel",
        "ms",
    )
    for part, of in (
        ("", "median"),
        ("_ci_low", "lower end of the 95 % interval of the median"),
        ("_ci_high", "upper end of that interval"),
    )
)
