"""Rows by what ran them: compiled here or by another runtime, and how the fastest of one stands to that of another.

Rows are compared within a group alone: the same model, batch and device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.outcome import REFUSED
from sweep.analysis.rows.bounds import EXACT, BoundedRatio, Reading, bound_of_row
from sweep.analysis.rows.duels import duel_of, is_below
from sweep.analysis.statistics import Ratio
from sweep.study.axes import axis_of, compared_within, value_in
from sweep.study.runtimes import CHOSEN_LATER, title_of
from sweep.study.spec import is_compiled

__all__ = [
    "GroupKey",
    "RuntimeRatio",
    "baseline_of",
    "baseline_title",
    "fastest_of_each",
    "group_key",
    "has_compiled",
    "is_baseline",
    "is_compiled_row",
    "is_refused",
    "measured",
    "ratios",
    "runtime_title",
]

Row = Mapping[str, Any]
_USUAL = axis_of("precision").default
GroupKey = tuple[Any, ...]
"""Values of the axes on which two cells agree that can be compared: model, batch, device and whatever is added."""


@dataclass(frozen=True, slots=True)
class RuntimeRatio:
    """The fastest cell of one runtime against the fastest of another, in one group."""

    of: Row
    against: Row

    @property
    def ratio(self) -> float:
        """Median over median, or as the final has it: above 1 is slower than what it is held against."""
        if (duel := self.duel) is not None:
            return duel.value
        return float(self.of["latency_ms_median"] / self.against["latency_ms_median"])

    @property
    def duel(self) -> Ratio | None:
        """The ratio of the final in which both took turns; None where there is none."""
        return duel_of(self.of, self.against)

    @property
    def bounded(self) -> BoundedRatio | None:
        """The same as far as it is known; None where something disturbed both."""
        if (duel := self.duel) is not None:
            return BoundedRatio(duel.value, EXACT)
        return Reading.of(self.of).over(Reading.of(self.against))

    @property
    def is_exact(self) -> bool:
        """Whether it is known: nothing disturbed either, or both were compared in turns."""
        are_exact = Reading.of(self.of).is_exact and Reading.of(self.against).is_exact
        return are_exact or self.duel is not None

    @property
    def is_tied(self) -> bool:
        """Whether the intervals of the two medians meet: the two cannot be told apart."""
        return self.is_exact and not self.is_ahead and not self.is_behind

    @property
    def is_ahead(self) -> bool:
        """Whether it is faster, beyond doubt."""
        return is_below(self.of, self.against)

    @property
    def is_behind(self) -> bool:
        """Whether it is slower, beyond doubt."""
        return is_below(self.against, self.of)

    @property
    def is_open(self) -> bool:
        """Whether something disturbed one of them, so that nobody knows yet."""
        return not (self.is_exact or self.is_ahead or self.is_behind)

    @property
    def against_title(self) -> str:
        """What people call the runtime that it is held against."""
        return runtime_title(self.against)

    def as_row(self) -> dict[str, Any]:
        """In long form: the axes of the group, both runtimes with their medians, and how one stands to the other."""
        group = {axis: value_in(self.of, axis) for axis in compared_within()}
        medians = {
            f"{side}_{key}": row[column]
            for side, row in (("of", self.of), ("against", self.against))
            for key, column in (("cell", "cell_name"), ("latency_ms_median", "latency_ms_median"))
        }
        runtimes = {"of": self.of["runtime"], "against": self.against["runtime"]}
        return {**group, **runtimes, **medians, "ratio": self.ratio, "is_tied": self.is_tied}

    @property
    def is_to_baseline(self) -> bool:
        """Whether it is held against the study's baseline."""
        return is_baseline(self.against)


def is_compiled_row(row: Row) -> bool:
    """Whether the cell was compiled here; else another runtime ran the network as it was imported."""
    return is_compiled(row["runtime"])


def is_refused(row: Row) -> bool:
    """Whether its runtime does not take the network, so that it never has a time."""
    return row.get("error_class") == REFUSED


def has_compiled(rows: Iterable[Row]) -> bool:
    """Whether any cell was to be compiled: then these compete, and other runtimes are what they are held against."""
    return any(map(is_compiled_row, rows))


def is_baseline(row: Row) -> bool:
    """Whether its runtime is the one that others are compared with."""
    return bool(row["runtime"] == row.get("baseline"))


def baseline_of(rows: Sequence[Row]) -> str | None:
    """The runtime that the rows are compared with; None also where that hangs on the model."""
    named = {row.get("baseline") for row in rows}
    return named.pop() if len(named) == 1 else None


def baseline_title(rows: Sequence[Row], *, short: bool = False) -> str:
    """What people call the baseline; empty where there is none."""
    if len({row.get("baseline") for row in rows}) > 1:
        return "baseline" if short else "the baseline of its model"
    baseline = baseline_of(rows)
    return "" if baseline is None else title_of(baseline, short=short)


def runtime_title(row: Row) -> str:
    """What people call the runtime of a row, with the number type where it chose another than networks have here."""
    title, precision = title_of(row["runtime"]), row.get("precision")
    is_usual = is_compiled(row["runtime"]) or precision in (None, _USUAL, CHOSEN_LATER)
    return title if is_usual else f"{title} ({precision})"


def group_key(row: Row) -> GroupKey:
    """What a group of rows has in common: within one, a cell can be said to be slower than another."""
    return tuple(value_in(row, axis) for axis in compared_within())


def measured(rows: Iterable[Row]) -> Iterator[Row]:
    """Those with a latency that nothing disturbed."""
    return (row for row in rows if bound_of_row(row) == EXACT)


def fastest_of_each(rows: Iterable[Row]) -> dict[GroupKey, dict[str, Row]]:
    """For each group the measured row with the least median of each runtime, both in the order of the rows."""
    fastest: dict[GroupKey, dict[str, Row]] = {}
    for row in measured(rows):
        of_group = fastest.setdefault(group_key(row), {})
        known = of_group.get(row["runtime"])
        if known is None or row["latency_ms_median"] < known["latency_ms_median"]:
            of_group[row["runtime"]] = row
    return fastest


def ratios(rows: Iterable[Row], of: str, against: str) -> list[RuntimeRatio]:
    """How one runtime stands to another in each group in which both were measured; `of`, `against`: their names."""
    return [
        RuntimeRatio(fastest[of], fastest[against])
        for fastest in fastest_of_each(rows).values()
        if of in fastest and against in fastest
    ]
