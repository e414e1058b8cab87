"""Some cells of a grid, as a person names them on the command line: `tuner=xgb,model=res*`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

from sweep.errors import StudyError
from sweep.study.axes import axis_names
from sweep.study.spec import Cell
from sweep.suggestions import hint, listed

__all__ = ["Selection", "parse_selection", "select"]

_KEY = "--only"
_FORM = "AXIS=VALUE, several values with |, several axes with commas, * and ? as in file names"


@dataclass(frozen=True, slots=True)
class Selection:
    """Cells whose value on each named axis fits one of its patterns."""

    text: str
    """As written."""
    axes: tuple[tuple[str, re.Pattern[str]], ...]
    key: str = _KEY
    """The argument that it was written in."""

    def matches(self, cell: Cell) -> bool:
        """Whether the cell is one of them."""
        return all(pattern.match(_value(cell, axis)) for axis, pattern in self.axes)


def parse_selection(text: str, key: str = _KEY) -> Selection:
    """What `--only` says, or another argument `key`.

    Raises:
        StudyError: an axis that there is not, or twice, or without a value.
    """
    axes: dict[str, re.Pattern[str]] = {}
    for part in text.split(","):
        axis, equals, written = (word.strip() for word in part.partition("="))
        values = [value.strip() for value in written.split("|")]
        if not equals or not all(values):
            raise StudyError("is not of the form", key=key, value=part, allowed=_FORM)
        names = axis_names()
        if axis not in names:
            raise StudyError(f"names no axis{hint(axis, names)}", key=key, value=axis, allowed=listed(names))
        if axis in axes:
            raise StudyError("names an axis twice", key=key, value=axis, allowed=f"{axis}=VALUE|VALUE")
        axes[axis] = re.compile("|".join(translate(value) for value in values))
    return Selection(text, tuple(axes.items()), key)


def select(cells: Sequence[Cell], selection: Selection) -> list[int]:
    """Indices of the cells that are meant.

    Raises:
        StudyError: none is; names the axis whose pattern fits nothing, and what there is.
    """
    found = [index for index, cell in enumerate(cells) if selection.matches(cell)]
    if found:
        return found
    for axis, pattern in selection.axes:
        values = sorted({_value(cell, axis) for cell in cells}, key=_numbers_by_size)
        if not any(pattern.match(value) for value in values):
            allowed = f"of {axis}: {listed(values)}"
            raise StudyError(f"fits no {axis} of this grid", key=selection.key, value=selection.text, allowed=allowed)
    named = ", ".join(axis for axis, _ in selection.axes)
    allowed = f"values of {named} that some cell has together"
    raise StudyError("fits no cell of this grid", key=selection.key, value=selection.text, allowed=allowed)


def _value(cell: Cell, axis: str) -> str:
    value = cell.value(axis)
    return "-" if value is None else str(value)


def _numbers_by_size(value: str) -> tuple[int, str]:
    return (int(value), value) if value.isdigit() else (-1, value)
