"""How a cell is measured: what a study says of it, with its form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic import Field, model_validator

from sweep.study.identity import identifying
from sweep.study.reading.form import Form, refuse

__all__ = ["Measure", "MeasureForm", "read_measure"]

_FIRST_OF_MEASURE = frozenset(
    "repeat max_repeat rounds relative_interval time_limit_s min_repeat_ms warmup number cache_flush timeout_s".split()
)


@dataclass(frozen=True, slots=True)
class Measure:
    """How a cell is measured."""

    repeat: int = 10
    """Values at least, each a mean over `number` calls."""
    max_repeat: int = 50
    """Values at most."""
    rounds: int = 5
    """Visits to the device over which the values are spread; others' visits come in between. 1: all in one go."""
    relative_interval: float = 0.02
    """Enough values once the 95 % interval of their median, end to end, is narrower than this share of it."""
    time_limit_s: float = 30.0
    """For the timed calls of the values; three are taken whatever it says."""
    min_repeat_ms: int = 100
    """`number` is raised until one repeat takes this long."""
    warmup: int = 1
    """Single calls before the repeats that count; kept, but apart."""
    number: int | None = None
    """Calls a repeat; none: found from `min_repeat_ms`."""
    cache_flush: bool = False
    """Whether the caches are emptied before each value, which is then a single call."""
    timeout_s: float = 600.0
    """For the whole measurement of a cell."""
    retakes: int = 2
    """How often values that were taken in one go, and disturbed, are taken again. In rounds: as often as there are
    rounds."""

    @property
    def options(self) -> dict[str, Any]:
        """What the options of a measure stage hold, and its id is made of: the first ten, others where not the default.

        So a further option leaves what was measured without it as it is.
        """
        defaults = {field.name: field.default for field in fields(self)}
        return identifying(asdict(self), _FIRST_OF_MEASURE, defaults)


class MeasureForm(Form):
    """How a cell is measured."""

    repeat: int = Field(10, ge=1, le=10_000, description="Values of a cell at least, each a mean over `number` calls.")
    max_repeat: int = Field(
        50, ge=1, le=10_000, description="Values of a cell at most; by default no less than repeat."
    )
    rounds: int = Field(
        5,
        ge=1,
        le=100,
        description="Visits to the device, in turns with other cells, over which the values are spread, three at least "
        "in each; 1: all values in one go.",
    )
    relative_interval: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Enough once the 95 % interval of their median is narrower, end to end, than this share of it.",
    )
    time_limit_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="No further value once the timed calls take this long; three are always taken.",
    )
    min_repeat_ms: int = Field(100, ge=0, le=60_000, description="`number` is raised until a repeat takes this long.")
    warmup: int = Field(1, ge=0, le=1_000, description="Single calls before the repeats that count.")
    number: int | None = Field(None, ge=1, le=1_000_000, description="Calls a repeat; null: from min_repeat_ms.")
    cache_flush: bool = Field(
        False, description="Empty the CPU's caches before each value, which is then a single call."
    )
    timeout_s: float = Field(600.0, gt=0, le=86_400, description="Time limit of a cell's measurement.")
    retakes: int = Field(
        2, ge=0, le=100, description="How often values taken in one go are taken again, if something disturbed them."
    )

    @model_validator(mode="after")
    def _go_together(self) -> MeasureForm:
        if "max_repeat" in self.model_fields_set and self.max_repeat < self.repeat:
            raise refuse(
                "is less than repeat", key="max_repeat", value=self.max_repeat, allowed=f"from {self.repeat} to 10000"
            )
        if self.cache_flush and self.number not in (None, 1):
            raise refuse(
                "does not go with cache_flush: only the first call after a flush finds empty caches",
                key="number",
                value=self.number,
                allowed="1, or null",
            )
        return self


def read_measure(form: MeasureForm) -> Measure:
    """A study that asks for more values than the usual most, and gives no most of its own, gets what it asks for."""
    return Measure(**form.model_dump() | {"max_repeat": max(form.repeat, form.max_repeat)})
