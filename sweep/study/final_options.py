"""The final of a study: how long, and among how many, the best cells are compared in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from sweep.study.reading.form import Form, refuse

__all__ = ["Final", "FinalForm", "null_or_mapping", "read_final"]


@dataclass(frozen=True, slots=True)
class Final:
    """The best cells of each model and device take turns with each other and with the fastest of other runtimes."""

    seconds: float = 20.0
    """For each cell that is held against the leader, at most."""
    best: int = 3
    """Compiled cells that take part, at most; those that were disturbed and may be faster come on top."""
    side_by_side: bool = False
    """In pairs at the same moment, each on cores of its own, where a device has them; else in turns."""
    is_asked: bool = False
    """Whether the study says so, and not the default: then also where a sweep was begun without."""

    @property
    def as_written(self) -> dict[str, Any]:
        """As a study file has it."""
        beside = {"side_by_side": True} if self.side_by_side else {}
        return {"seconds": self.seconds, "best": self.best, **beside}


class FinalForm(Form):
    """The last comparison, of the best cells in turns."""

    seconds: float = Field(
        20.0, gt=0, le=3_600, description="For each pair of the leader and another cell, unless they are told apart."
    )
    best: int = Field(
        3,
        ge=1,
        le=8,
        description="Compiled cells of each model and device, at most; disturbed ones come on top.",
    )
    side_by_side: bool = Field(
        False,
        description="Pairs run at the same moment, each on half of the cores of a device that has them; else in turns.",
    )


def null_or_mapping(value: object) -> object:
    """Whoever wants none writes `false` or `off` as often as `null`, and is told so."""
    if value is None or isinstance(value, dict | FinalForm):
        return value
    raise refuse(
        "has the wrong type", value=value, allowed="a mapping with seconds, best, side_by_side; null: no final"
    )


def read_final(form: FinalForm | None, is_asked: bool) -> Final | None:
    """What a study file says; None where it wants none. is_asked: whether it says anything."""
    return None if form is None else Final(form.seconds, form.best, form.side_by_side, is_asked)
