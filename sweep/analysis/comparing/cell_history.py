"""A cell over many sweeps: its latencies in the order of their time, and where their level has changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.comparing.change_points import ChangePoint, change_points
from sweep.analysis.formatting import as_ms, as_times
from sweep.analysis.rows.bounds import Reading

__all__ = ["CellHistory", "Moment", "histories", "sparkline"]

Row = Mapping[str, Any]
_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "·"


@dataclass(frozen=True, slots=True)
class Moment:
    """A cell in one sweep."""

    sweep: str
    t: float
    """Unix seconds at which the sweep began."""
    row: Row

    @property
    def reading(self) -> Reading:
        """Its latency."""
        return Reading.of(self.row)


@dataclass(frozen=True, slots=True)
class CellHistory:
    """A cell in all sweeps that have it."""

    cell_id: str
    name: str
    moments: tuple[Moment, ...]
    """By time."""
    changes: tuple[tuple[Moment, ChangePoint], ...]
    """The first moment of each new level; among those that nothing disturbed."""

    @classmethod
    def of(cls, cell_id: str, moments: Sequence[Moment]) -> CellHistory:
        """Of a cell's moments, in any order."""
        ordered = tuple(sorted(moments, key=lambda one: one.t))
        exact = [one for one in ordered if one.reading.is_exact]
        changes = tuple((exact[one.at], one) for one in change_points([one.reading.median_ms for one in exact]))
        return cls(cell_id, ordered[-1].row["cell_name"], ordered, changes)

    @property
    def line(self) -> str:
        """`cell  ▁▁▂█  4 of 5 undisturbed  2.31 ms  since b: 1.20x`."""
        exact = [one.reading.median_ms for one in self.moments if one.reading.is_exact]
        changed = "".join(f"  since {moment.sweep}: {as_times(change.ratio)}" for moment, change in self.changes[-1:])
        latest = f"{as_ms(exact[-1])} ms" if exact else "-"
        counted = f"{len(exact)} of {len(self.moments)} undisturbed"
        return f"{self.name}  {sparkline(self.moments)}  {latest}  {counted}{changed}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        columns = ("latency_ms_median", "latency_ms_ci_low", "latency_ms_ci_high", "latency_bound", "status")
        return {
            "cell_id": self.cell_id,
            "cell_name": self.name,
            "moments": [
                {"sweep": one.sweep, "t": one.t, **{key: one.row.get(key) for key in (*columns, "tvm_version")}}
                for one in self.moments
            ],
            "changes": [
                {"sweep": moment.sweep, "t": moment.t, "ratio": change.ratio, "p": change.p}
                for moment, change in self.changes
            ],
        }


def histories(sweeps: Sequence[tuple[str, float, Sequence[Row]]]) -> list[CellHistory]:
    """A history for each cell of sweeps, of which each has its name, its time and its rows."""
    found: dict[str, list[Moment]] = {}
    for name, t, rows in sweeps:
        for row in rows:
            found.setdefault(row["cell_id"], []).append(Moment(name, t, row))
    return [CellHistory.of(cell_id, moments) for cell_id, moments in found.items()]


def sparkline(moments: Sequence[Moment]) -> str:
    """A bar a moment, from the least latency to the largest; a dot where nothing is known for certain."""
    exact = [one.reading.median_ms for one in moments if one.reading.is_exact]
    low, high = min(exact, default=0.0), max(exact, default=0.0)

    def bar(one: Moment) -> str:
        if not one.reading.is_exact:
            return _UNKNOWN
        share = (one.reading.median_ms - low) / (high - low) if high > low else 0.0
        return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]

    return "".join(map(bar, moments))
