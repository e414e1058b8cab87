"""What one row of the table of axes says. Knows no axis: the rows are in `sweep.study.axes`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Literal

__all__ = ["NOTHING_DESCRIBED", "Axis", "Described", "DescribedValues"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Described:
    """How values of an axis mean more where a study writes them: as mappings, each a name with options, or by their
    being written at all.
    """

    form: type[Any] | None
    """Of such a mapping, for pydantic; it has a `name`, which is the value. None: a value is its name alone."""
    read: Callable[[Any], Any]
    """What a study keeps of a form that is filled in, or of a name."""
    options: Callable[[Any], Mapping[str, Any]]
    """What the options of the axis' stage say of it, in place of the name: two names of one meaning are one stage."""
    write: Callable[[str, Any], Any]
    """What reads as it again, of the name and what was kept."""


DescribedValues = Mapping[str, Mapping[str, Any]]
"""By axis and name what was kept of values that are written with options."""
NOTHING_DESCRIBED: DescribedValues = {}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the grid."""

    name: str
    meaning: str
    """What it says, as the description of its column in every table."""
    default: str | int | None = None
    """Its value where a study says nothing; none: the study always says it, in a section of its own."""
    type: Literal["text", "int8", "int32"] = "text"
    """Of its column."""
    unit: str = ""
    values: tuple[str | int, ...] | Callable[[], tuple[str | int, ...]] = ()
    """All that it may be, or a function that lists them where they are registered elsewhere; empty: any value of its
    type, from `least` to `most`."""
    least: int | None = None
    most: int | None = None
    about: str = ""
    """For whoever writes a study file; empty: the meaning."""
    key: str = ""
    """Where a study file has its list of values; empty: `axes.NAME`."""
    label: str = "{}"
    """Its value in the name of a cell, where it is not the default: `batch{}`."""
    stage: str = ""
    """The kind of stage whose options hold its value under its name; empty: no stage takes it by name."""
    also: Callable[[Any], Mapping[str, Any]] | None = None
    """What else the options of that stage say of a value: its compiler runs in a process that has no such table."""
    described: Described | None = None
    """How a value may be written with options; none: by its name alone."""
    in_other_runtimes: bool = False
    """Whether other runtimes than TVM are measured at each of its values; else at `elsewhere` alone."""
    elsewhere: str | int | EllipsisType | None = ...
    """Its value in the cells of other runtimes where these have one; `...`: its default."""
    only_elsewhere: tuple[str | int, ...] = ()
    """Values that no compiled cell has: what TVM's code cannot do."""
    compared_within: bool = True
    """Whether cells are ranked among, and compared with, cells of the same value alone: it says what is to be done, as
    the batch does, and not how, as the layout does."""
    keep: int = 3
    """Of its column in a table that has no room for all of them: the least go first."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of an axis: small letters, digits and underscores")
        if self.default is not None and self.choices and self.default not in self.choices:
            raise ValueError(f"axis {self.name}: the default {self.default!r} is none of its values {self.choices}")

    @property
    def study_key(self) -> str:
        """Where a study file has its list of values."""
        return self.key or f"axes.{self.name}"

    @property
    def choices(self) -> tuple[str | int, ...]:
        """All its values as they are now; empty where any of its type will do."""
        return self.values() if callable(self.values) else self.values

    @property
    def absent(self) -> Any:
        """Its value in the cells of runtimes that it does not apply to."""
        return self.default if isinstance(self.elsewhere, EllipsisType) else self.elsewhere

    def label_of(self, value: Any) -> str:
        """The value in the name of a cell."""
        return self.label.format(value)

    def words(self, value: Any) -> str:
        """The value where nothing beside it names its axis: a number alone would not say of what."""
        return str(value) if self.type == "text" else f"{self.name.replace('_', ' ')} {value}"
