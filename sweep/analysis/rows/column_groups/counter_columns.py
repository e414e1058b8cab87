"""Result columns of what a call takes beside time, where the machine counts it: energy, and the CPU's own events."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from sweep.analysis.formatting import significant
from sweep.analysis.rows.column import CellFacts, Column, Detail

__all__ = ["COUNTER_COLUMNS"]


def _per_call(quantity: str, unit: float, facts: CellFacts) -> float | None:
    """Median over the blocks that count, each a mean over its calls."""
    values = [counted / calls / unit for counted, calls in _blocks(quantity, facts)]
    return median(values) if values else None


def _blocks(quantity: str, facts: CellFacts) -> Iterator[tuple[float, int]]:
    measured, number = facts.measured, facts.measure.number
    if measured is None or not number:
        return
    taken = [(block.conditions, block.run_secs) for block in measured.blocks] or [({}, measured.run_secs)]
    for conditions, run_secs in taken:
        counted = {**measured.conditions, **conditions}.get("counted")
        value = counted.get(quantity) if isinstance(counted, dict) else None
        if isinstance(value, int | float) and run_secs:
            yield float(value), number * len(run_secs)


def _column(name: str, quantity: str, title: str, meaning: str, unit: str = "", scale: float = 1.0) -> Column:
    return Column(
        name,
        "float64",
        f"{meaning}; null where the machine does not tell",
        unit,
        lambda facts: _per_call(quantity, scale, facts),
        f"counters/{name}",
        detail=Detail(title, significant, rank=65),
    )


COUNTER_COLUMNS = (
    _column(
        "energy_mj_per_call",
        "energy_uj",
        "energy mJ",
        "energy of the processor packages for a call, of all that ran on them",
        "mJ",
        1e3,
    ),
    _column("instructions_per_call", "instructions", "instructions", "instructions of the process for a call"),
    _column("cycles_per_call", "cycles", "cycles", "cycles of the process for a call"),
    _column(
        "cache_misses_per_call", "cache_misses", "cache misses", "last-level cache misses of the process for a call"
    ),
)
