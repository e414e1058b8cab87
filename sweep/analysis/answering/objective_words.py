"""What is said of a study's limits: which they are, what they leave out, and where no cell keeps them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.answering.best_words import configuration, known_ms, work
from sweep.analysis.formatting import plural
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.objective_fit import as_limit, fit_of, limit_words, nearest, objective_of
from sweep.analysis.rows.runtime_rows import GroupKey, group_key, has_compiled, is_compiled_row

__all__ = ["nearest_of_each", "objective_lines"]

Row = Mapping[str, Any]
_LATENCY = "latency_ms_median"
_MOST = 6
"""Of many places the table tells the others."""


def objective_lines(rows: Sequence[Row]) -> list[str]:
    """The limits with what they leave out, and the nearest cell of each place where none keeps them; none without."""
    wanted = next((objective for row in rows if (objective := objective_of(row)) is not None), None)
    if wanted is None:
        return []
    compared = _competing(rows)
    fits = [fit_of(row) for row in compared if row.get("latency_ms_median") is not None]
    broken = sum(bool(fit.broken) for fit in fits)
    unknown = [fit.unknown for fit in fits if fit.unknown and not fit.broken]
    told = [f"{plural(broken, 'cell')} above {'it' if len(wanted.subject_to) == 1 else 'them'}"] if broken else []
    if unknown:
        names = ", ".join(name for name in wanted.subject_to if any(name in of_one for of_one in unknown))
        told.append(
            f"{plural(len(unknown), 'cell')} left out since {names} {'is' if ',' not in names else 'are'} not known"
        )
    limits = ", ".join(f"{name} up to {as_limit(name, limit)}" for name, limit in wanted.subject_to.items())
    lines = [f"Limits: {limits}" + (f"; {', '.join(told)}." if told else ".")]
    lines += [_passed_by_words(row) for row in _passed_by(compared)[:_MOST]]
    return lines + [_nearest_words(row) for row in nearest_of_each(rows).values()]


def _passed_by(rows: Sequence[Row]) -> list[Row]:
    """Of each place where a cell keeps the limits: the fastest that does not, where that is the faster one."""
    groups: dict[GroupKey, list[Row]] = {}
    for row in rows:
        if Reading.of(row).is_exact:
            groups.setdefault(group_key(row), []).append(row)
    found = []
    for group in groups.values():
        kept = [row[_LATENCY] for row in group if fit_of(row).is_held]
        broken = [row for row in group if fit_of(row).broken and kept and row[_LATENCY] < min(kept)]
        found += [min(broken, key=lambda row: float(row[_LATENCY]))] if broken else []
    return found


def _passed_by_words(row: Row) -> str:
    return f"{_where(row)}: {configuration(row)} is faster at {known_ms(row)} and is passed by: {limit_words(row)}."


def nearest_of_each(rows: Sequence[Row]) -> dict[GroupKey, Row]:
    """Of each place where something was measured and nothing keeps the limits: the cell that comes nearest."""
    groups: dict[GroupKey, list[Row]] = {}
    for row in _competing(rows):
        groups.setdefault(group_key(row), []).append(row)
    found = {}
    for key, group in groups.items():
        known = [row for row in group if Reading.of(row).bound is not None]
        if known and not any(fit_of(row).is_held for row in known):
            closest = nearest(known)
            if closest is not None:
                found[key] = closest
    return found


def _competing(rows: Sequence[Row]) -> list[Row]:
    compiles = has_compiled(rows)
    return [row for row in rows if is_compiled_row(row) or not compiles]


def _where(row: Row) -> str:
    at = f" at {', '.join(work(row))}" if work(row) else ""
    return f"{row['model']}{at} on {row['device']}"


def _nearest_words(row: Row) -> str:
    return (
        f"{_where(row)}: no measured cell is known to keep the limits; nearest is "
        f"{configuration(row)} at {known_ms(row)} ({limit_words(row)})."
    )
