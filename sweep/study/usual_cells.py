"""Cells that are run for inference and timed, and those beside them that learn, or are run for their memory."""

from __future__ import annotations

from dataclasses import replace

from sweep.study.cell import Cell

__all__ = ["as_usual", "is_usual"]

_OBSERVED = frozenset({"mode", "variable"})


def is_usual(cell: Cell) -> bool:
    """Not a cell that learns, or that is run for its memory."""
    return _OBSERVED.isdisjoint(name for name, _ in cell.more)


def as_usual(cell: Cell) -> Cell:
    """The cell of the same choices that is run for inference and timed."""
    return replace(cell, more=tuple((name, value) for name, value in cell.more if name not in _OBSERVED))
