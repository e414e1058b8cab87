"""Result columns of how far a cell came: rows of the table in `sweep.analysis.rows.columns`."""

from __future__ import annotations

import json

from sweep.analysis.formatting import as_tags
from sweep.analysis.rows.column import Column, Detail

__all__ = ["STATUS_COLUMNS"]


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
