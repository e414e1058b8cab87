"""The cells of a grid as columns of small numbers: a million in some ten megabytes, and none is made as an object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.study.axes import all_axes, further_axes, loops
from sweep.study.cell import TVM, Cell
from sweep.study.grid import Grid
from sweep.study.spec import Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GridColumns"]

_DENSE = 8
"""A table of all combinations is quicker than sorting, up to so many times the cells."""


class GridColumns:
    """One column for each axis, the same number for the same value. Cells that their runtimes refuse are not there."""

    def __init__(self, grid: Grid) -> None:
        self._names = tuple(axis.name for axis in all_axes())
        self._codes: dict[str, dict[Any, int]] = {name: {} for name in self._names}
        parts: list[NDArray[Any]] = []
        others: list[Cell] = []
        for axes, rule, before in grid.parts():
            for model in axes["model"]:
                for device in axes["device"]:
                    found = grid.other_cells(axes, model, device, rule or ())
                    others += (cell for cell in found if not grid.is_left_out(cell, rule, before))
                    if TVM in axes["runtime"]:
                        part = self._compiled(grid.compiled_axes(axes, model, device, rule or ()), model, device)
                        parts.append(part[:, self._is_kept(grid, part, model, rule, before)])
        self.refused = sum(grid.refusals.of(cell) is not None for cell in others)
        parts.append(self._of(cell for cell in others if grid.refusals.of(cell) is None))
        self._columns: NDArray[Any] = np.concatenate(parts, axis=1)
        self._values = {name: list(codes) for name, codes in self._codes.items()}

    def __len__(self) -> int:
        return int(self._columns.shape[1])

    def cell(self, index: int) -> Cell:
        """One of them, as an object."""
        codes = self._columns[:, index].tolist()
        return Cell.of({name: self._values[name][code] for name, code in zip(self._names, codes, strict=True)})

    def alike(self, of: NDArray[Any], fields: Iterable[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Groups of some cells that have the same in these fields of a cell: the first cell of each group, and the
        number of its group for each of them.
        """
        names = set(fields)
        if "more" in names:
            names = (names - {"more"}) | {axis.name for axis in further_axes()}
        rows = [row for row, name in enumerate(self._names) if name in names and len(self._values[name]) > 1]
        sizes = [len(self._values[self._names[row]]) for row in rows]
        first, groups = grouped([self._columns[row][of] for row in rows], sizes, len(of))
        return of[first], groups

    # -- making them --------------------------------------------------------------------------------------------------

    def _compiled(self, axes: Mapping[str, Sequence[Any]], model: str, device: str) -> NDArray[Any]:
        names = loops()
        sizes = [len(axes[name]) for name in names]
        at = np.indices(sizes, dtype=np.int32).reshape(len(sizes), math.prod(sizes))
        columns = {name: self._numbers(name, axes[name])[row] for name, row in zip(names, at, strict=True)}
        fixed = {"model": model, "device": device, "runtime": TVM}
        for name in self._names:
            if name not in columns:
                columns[name] = np.full(at.shape[1], self._number(name, fixed[name]), np.int32)
        return np.stack([columns[name] for name in self._names])

    def _of(self, cells: Iterable[Cell]) -> NDArray[Any]:
        rows = [[self._number(name, cell.value(name)) for name in self._names] for cell in cells]
        columns: NDArray[Any] = np.array(rows, np.int32).reshape(len(rows), len(self._names)).T
        return columns

    def _is_kept(
        self, grid: Grid, part: NDArray[Any], model: str, rule: Rule | None, before: Sequence[Rule]
    ) -> NDArray[Any]:
        """Of the grid's own product what is not excluded; of an included one what is not there already."""
        excluded = self._matches(part, grid.exclude)
        if rule is None:
            return ~excluded
        own = grid.axes_of(grid.axes, model)
        there = self._matches(part, [{name: own[name] for name in self._names}])
        left_out: NDArray[Any] = (there & ~excluded) | self._matches(part, before)
        return ~left_out

    def _matches(self, part: NDArray[Any], rules: Iterable[Rule]) -> NDArray[Any]:
        found = np.zeros(part.shape[1], bool)
        for rule in rules:
            all_axes_do = np.ones(part.shape[1], bool)
            for name, values in rule.items():
                all_axes_do &= np.isin(part[self._names.index(name)], self._numbers(name, values))
            found |= all_axes_do
        return found

    def _numbers(self, name: str, values: Iterable[Any]) -> NDArray[Any]:
        return np.array([self._number(name, value) for value in values], np.int32)

    def _number(self, name: str, value: Any) -> int:
        codes = self._codes[name]
        return codes.setdefault(value, len(codes))


def grouped(columns: Sequence[NDArray[Any]], sizes: Sequence[int], rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows that are the same in all columns: the first row of each group, and the number of its group for each row.

    sizes: how many different numbers, from 0 on, each column may have.
    """
    combined, size = np.zeros(rows, np.int64), 1
    for column, further in zip(columns, sizes, strict=True):
        if size * further > _DENSE * max(rows, 1_000):
            first, combined = _numbered(combined, size, rows)
            size = len(first)
        combined, size = combined * further + column, size * further
    return _numbered(combined, size, rows)


def _numbered(combined: NDArray[Any], size: int, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if size > _DENSE * max(rows, 1_000):
        _, first, groups = np.unique(combined, return_index=True, return_inverse=True)
        return first, groups
    at = np.full(size, -1, np.int64)
    at[combined[::-1]] = np.arange(rows - 1, -1, -1)  # of several the first stays, which is written last
    is_there = at >= 0
    number = np.cumsum(is_there) - 1
    return at[is_there], number[combined]
