"""Whether a cell keeps within the limits of its study's objective, and which cell comes nearest. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_bytes, as_duration, significant
from sweep.analysis.rows.column import Column
from sweep.study.objective import Objective

__all__ = [
    "OBJECTIVE_COLUMNS",
    "Fit",
    "as_limit",
    "fit_of",
    "fulfils",
    "is_in_the_running",
    "limit_words",
    "nearest",
    "objective_of",
]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fit:
    """How the values of a cell stand to their limits."""

    broken: tuple[str, ...] = ()
    """Columns whose value lies above its limit."""
    unknown: tuple[str, ...] = ()
    """Columns that have no value."""
    excess: float = 0.0
    """The largest value over its limit, less 1; 0 where none is broken."""

    @property
    def is_held(self) -> bool:
        """Whether every limit is known to be kept."""
        return not self.broken and not self.unknown

    @property
    def meets(self) -> bool | None:
        """The same, with None where it is not known."""
        return False if self.broken else None if self.unknown else True


def objective_of(row: Row) -> Objective | None:
    """The objective of the study that a row is of; None where it has none."""
    text = row.get("objective")
    return Objective.from_json(text) if text else None


def fit_of(row: Row, objective: Objective | None = None) -> Fit:
    """How a row stands to an objective, by default to that of its study; all limits are kept where there is none."""
    wanted = objective or objective_of(row)
    if wanted is None:
        return Fit()
    values = {name: row.get(name) for name in wanted.subject_to}
    over = {name: value for name, value in values.items() if value is not None and value > wanted.subject_to[name]}
    return Fit(
        tuple(over),
        tuple(name for name, value in values.items() if value is None),
        max((_excess(value, wanted.subject_to[name]) for name, value in over.items()), default=0.0),
    )


def fulfils(row: Row) -> bool:
    """Whether a row keeps every limit. A value that is not known keeps none."""
    return fit_of(row).is_held


def is_in_the_running(row: Row) -> bool:
    """Whether a row keeps every limit, or may yet: of a cell that was not measured nothing is known but what broke."""
    fit = fit_of(row)
    return fit.is_held or (not fit.broken and row.get("latency_ms_median") is None)


def nearest(rows: Iterable[Row]) -> Row | None:
    """Of rows with a latency none of which keeps the limits: the one whose worst excess is least, all known first."""
    measured = [row for row in rows if row.get("latency_ms_median") is not None]

    def key(row: Row) -> tuple[bool, float, float]:
        fit = fit_of(row)
        return bool(fit.unknown), fit.excess, float(row["latency_ms_median"])

    return min(measured, key=key, default=None)


def limit_words(row: Row) -> str:
    """`artifact_bytes 9.10 MB above 8.00 MB; accuracy_drop is not known`: what a row does not keep."""
    wanted, fit = objective_of(row), fit_of(row)
    if wanted is None:
        return ""
    told = [
        f"{name} {as_limit(name, row[name])} above {as_limit(name, wanted.subject_to[name])}" for name in fit.broken
    ]
    return "; ".join([*told, *(f"{name} is not known" for name in fit.unknown)])


def _excess(value: float, limit: float) -> float:
    return math.inf if limit == 0 else value / limit - 1


def as_limit(name: str, value: float) -> str:
    """A value of a column that may be limited, with its unit."""
    if name.endswith("_bytes"):
        return as_bytes(value)
    return as_duration(value) if name.endswith("_s") else significant(value)


OBJECTIVE_COLUMNS = (
    Column(
        "objective",
        "text",
        "what the study wants of a cell, as JSON; null where it wants the least latency alone",
        value=lambda facts: None if facts.objective is None else facts.objective.to_json(),
    ),
    Column(
        "meets_objective",
        "bool",
        "whether every limit of the objective is kept; null where a value is not known, or there is no objective",
    ),
)
