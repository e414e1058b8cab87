"""Cells that a run did not measure, because those that it measured say what they take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.statistics import SAME_WITHIN

__all__ = ["Audit", "audit_of", "is_predicted_out", "is_predicted_slower"]

Row = Mapping[str, Any]


def is_predicted_out(row: Row) -> bool:
    """Whether it was skipped for its predicted latency."""
    return row["status"] == "skipped" and row.get("predicted_low_ms") is not None


def is_predicted_slower(row: Row, than_ms: float) -> bool:
    """Whether it was skipped and is predicted to take as long at least, within what changes nothing, with 99 %."""
    return is_predicted_out(row) and float(row["predicted_low_ms"]) > (1 - SAME_WITHIN) * than_ms


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of cells that were to be skipped and were measured all the same."""

    measured: int
    too_slow: int
    """Of these, cells that were faster than their prediction allowed: 1 in 100 is expected."""


def audit_of(rows: Iterable[Row]) -> Audit:
    """Of all rows of a sweep."""
    audited: Sequence[Row] = [
        row for row in rows if row["status"] == "done" and row.get("predicted_low_ms") is not None
    ]
    return Audit(len(audited), sum(row["latency_ms_median"] < row["predicted_low_ms"] for row in audited))
