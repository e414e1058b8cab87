"""A cell, one point of the grid, and what its id and its name are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.study.axes import FIRST, axes_under, axis_names, axis_of, further_axes, listed_axes, unusual, value_in
from sweep.study.identity import identifying

__all__ = ["TVM", "Cell", "is_compiled"]

TVM = "tvm"
"""The runtime of what is compiled here; every other one runs the network as it was imported."""

_FIRST = frozenset(FIRST)
_DEFAULTS = {axis.name: axis.default for axis in listed_axes()}


def is_compiled(runtime: str) -> bool:
    """Whether cells of this runtime are compiled here. Of a name, since a sweep may be read where it is not known."""
    return runtime == TVM


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid, by the names of its choices."""

    model: str
    target: str
    tuner: str
    """A tuner's label."""
    opt_level: int | None
    layout: str
    precision: str
    batch: int | None
    """None where the network stays as its file has it."""
    device: str
    runtime: str
    """`tvm`, or another; a cell of another has no opt level, and its target and tuner are `-`."""
    more: tuple[tuple[str, str | int], ...] = ()
    """Name and value of each further axis on which it differs from the default, by name."""

    @classmethod
    def of(cls, values: Mapping[str, Any], unknown: Mapping[str, str | int] | None = None) -> Cell:
        """The cell of these values, by axis; an axis that is not named has its default, and what is no axis is ignored.

        unknown: values of axes that only another installation may know. Raises KeyError where an axis without a default
        has no value.
        """
        chosen: dict[str, Any] = {
            name: values[name] if name in values or name not in _DEFAULTS else _DEFAULTS[name] for name in FIRST
        }
        further = further_axes()
        if further or unknown:  # seldom, and a grid may have a million cells
            defaults = {axis.name: axis.default for axis in further}
            more = identifying({name: value_in(values, name) for name in defaults}, (), defaults)
            chosen["more"] = tuple(sorted({**(unknown or {}), **more}.items()))
        return cls(**chosen)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Cell:
        """From what `to_json` gave, among other keys, also in an earlier version, or one that knew further axes: these
        are kept, so that the cell has the id that it had there. Raises KeyError.
        """
        return cls.of(entry, entry.get("more"))

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; further axes apart, and only where it differs from their default."""
        more = {"more": dict(self.more)} if self.more else {}
        return {**{axis: getattr(self, axis) for axis in FIRST}, **more}

    @property
    def is_compiled(self) -> bool:
        """Whether it is compiled here, so that target, tuner and opt level are its choices."""
        return is_compiled(self.runtime)

    @property
    def axes(self) -> dict[str, Any]:
        """Its value on each axis."""
        return {name: self.value(name) for name in axis_names()}

    def value(self, axis: str) -> Any:
        """Its value on an axis. Raises StudyError where there is no such axis."""
        if axis in _FIRST:
            return getattr(self, axis)
        more = dict(self.more)
        return more[axis] if axis in more else axis_of(axis).default

    @property
    def id(self) -> str:
        """16 hex digits, the same for the same choices wherever they are written."""
        choices = {axis: getattr(self, axis) for axis in FIRST} | dict(self.more)
        text = json.dumps(choices, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Short and distinct within a study: what differs in most studies, then what is not the usual value."""
        choices = [self.target, self.tuner, f"O{self.opt_level}"] if self.is_compiled else [self.runtime]
        return " ".join([self.model, *choices, *self.labels, self.device])

    @property
    def labels(self) -> list[str]:
        """Labels of what is not the usual value, of the axes that a study need not mention."""
        return [*unusual(self.axes, axes_under()), *(str(value) for _, value in self.unknown)]

    @property
    def unknown(self) -> tuple[tuple[str, str | int], ...]:
        """Values on axes that are not known here, of a plan that another installation has written."""
        known = axis_names() if self.more else ()
        return tuple((name, value) for name, value in self.more if name not in known)
