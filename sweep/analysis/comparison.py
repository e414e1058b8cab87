"""Two cells of a sweep beside each other: which is faster, by how much, and whether that may be said at all.

Rows are those of results.parquet and measurements.parquet. Knows no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweep.analysis.statistics import SAME_WITHIN, Comparison, Verdict, compare, summarise
from sweep.analysis.wording import as_latency, as_percent, as_times, significant
from sweep.errors import StudyError

__all__ = ["CellComparison", "MeasuredCell", "compare_cells", "find_cell"]

Row = Mapping[str, Any]

_SHORTEST_ID = 4
_LISTED = 12
_WORDS = {
    Verdict.FASTER: "{first} is faster",
    Verdict.SLOWER: "{first} is slower",
    Verdict.SAME: f"they are the same within {as_percent(SAME_WITHIN)}",
    Verdict.AMBIGUOUS: "these repeats do not tell which is faster",
}


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """A cell with the repeats of its measurement."""

    cell_id: str
    name: str
    run_secs: tuple[float, ...]
    device: str
    host: str | None
    """The machine that measured it, with its CPU; None where it did not say."""
    is_stable: bool | None

    @classmethod
    def of(cls, row: Row, run_secs: Sequence[float]) -> MeasuredCell:
        """From its row of results. Raises StudyError when it has no measurement."""
        if row["status"] != "done" or not run_secs:
            reason = f"{row['status']}: {row['error']}" if row.get("error") else str(row["status"])
            raise StudyError(
                "has no measurement to compare",
                key="CELL",
                value=row["cell_name"],
                allowed=f"a done cell; it is {reason}",
            )
        conditions = json.loads(row.get("conditions_json") or "{}")
        host = [conditions.get("host"), conditions.get("cpu_model")]
        return cls(
            cell_id=row["cell_id"],
            name=row["cell_name"],
            run_secs=tuple(run_secs),
            device=row["device"],
            host=", ".join(filter(None, host)) or None,
            is_stable=row.get("is_stable"),
        )


@dataclass(frozen=True, slots=True)
class CellComparison:
    """What two measurements say of each other."""

    first: MeasuredCell
    second: MeasuredCell
    found: Comparison

    def as_dict(self) -> dict[str, Any]:
        """For JSON. The ratio is the first's median over the second's: below 1, the first is faster."""
        ratio = self.found.ratio
        return {
            "verdict": str(self.found.verdict),
            "ratio": ratio.value,
            "ratio_ci_low": ratio.ci_low,
            "ratio_ci_high": ratio.ci_high,
            "cells": [
                {
                    **asdict(cell),
                    "run_secs": list(cell.run_secs),
                    "latency_ms_median": summarise(cell.run_secs).median * 1e3,
                }
                for cell in (self.first, self.second)
            ],
            "notes": self.notes(),
        }

    def as_text(self) -> str:
        """For people."""
        ratio = self.found.ratio
        interval = (
            "" if ratio.ci_low is None or ratio.ci_high is None else f" [{ratio.ci_low:.3f}, {ratio.ci_high:.3f}]"
        )
        factor = as_times(max(ratio.value, 1 / ratio.value))
        said = _WORDS[self.found.verdict].format(first=self.first.name)
        by = f", {factor}" if self.found.verdict in (Verdict.FASTER, Verdict.SLOWER) else ""
        width = max(len(self.first.name), len(self.second.name))
        lines = [_line(cell, width) for cell in (self.first, self.second)]
        lines.append(f"{'ratio':<{width}}  {significant(ratio.value, 4)}{interval}")
        lines.append(f"{self.found.verdict}: {said}{by}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes())])

    def notes(self) -> list[str]:
        """What a reader should know before believing it."""
        told = [
            f"{cell.name} is not stable: its interval is wide for its median, or its repeats are few"
            for cell in (self.first, self.second)
            if cell.is_stable is False
        ]
        if self.first.host != self.second.host:
            told.append(f"measured on two hosts: {self.first.host or 'unknown'} and {self.second.host or 'unknown'}")
        return told


def find_cell(rows: Iterable[Row], wanted: str) -> Row:
    """The one cell that `wanted` means: its name, its id (or the beginning of it), or words that it alone has.

    Raises StudyError where none or several are meant.
    """
    cells = list(rows)
    for meant in (
        [row for row in cells if wanted in (row["cell_name"], row["cell_id"])],
        [row for row in cells if len(wanted) >= _SHORTEST_ID and row["cell_id"].startswith(wanted)],
        [row for row in cells if wanted.split() and set(wanted.split()) <= set(row["cell_name"].split())],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise StudyError("means several cells", key="CELL", value=wanted, allowed=_listed(meant))
    raise StudyError("is no cell of this sweep", key="CELL", value=wanted, allowed=_listed(cells))


def compare_cells(first: MeasuredCell, second: MeasuredCell, across_hosts: bool = False) -> CellComparison:
    """Is the first faster than the second?

    Raises StudyError when they were measured on different hosts, unless told `across_hosts`: the difference would be
    the machines' as much as the cells'.
    """
    if first.host != second.host and not across_hosts:
        raise StudyError(
            "were measured on different hosts",
            key="CELL CELL",
            value=f"{first.host or 'unknown'}; {second.host or 'unknown'}",
            allowed="cells of one host, or --across-hosts",
        )
    return CellComparison(first, second, compare(first.run_secs, second.run_secs))


def _line(cell: MeasuredCell, width: int) -> str:
    return f"{cell.name:<{width}}  {as_latency(summarise(cell.run_secs))}"


def _listed(rows: Sequence[Row]) -> str:
    names = [repr(row["cell_name"]) for row in rows[:_LISTED]]
    return ", ".join(names) + (f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else "")
