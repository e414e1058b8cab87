"""What a study says of its profiling grid: what is observed of each point, and when larger batches are given up.

A point is a cell. Two axes tell what it is: `mode`, whether the network infers or is trained, and `variable`, whether
its latency or its memory is observed. Each is measured in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sweep.errors import StudyError
from sweep.study.reading.form import Form

__all__ = [
    "INFERENCE",
    "LATENCY",
    "MEMORY",
    "MODES",
    "TRAINING",
    "USUAL_POINT",
    "VARIABLES",
    "Profile",
    "ProfileForm",
    "ProfilePoint",
    "observed",
    "read_profile",
]

INFERENCE, TRAINING = MODES = ("inference", "training")
LATENCY, MEMORY = VARIABLES = ("latency", "memory")


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits of the points of a profiling grid, and what follows from a point that failed."""

    until_first_failure: str | None = None
    """`batch`: after a point has failed, those of the same other values and larger batches are skipped."""
    memory_limit_bytes: int | None = None
    """A point that observes memory fails where it needs more, above what its process holds idle."""
    time_limit_s: float | None = None
    """A point fails where its first call takes longer; it takes no further values once they have taken as long."""

    def limits(self, variable: str) -> dict[str, float]:
        """What decides the result of a point: part of its id where the study says it."""
        limits: dict[str, float] = {}
        if variable == MEMORY and self.memory_limit_bytes is not None:
            limits["memory_limit_bytes"] = self.memory_limit_bytes
        if self.time_limit_s is not None:
            limits["time_limit_s"] = self.time_limit_s
        return limits


@dataclass(frozen=True, slots=True)
class ProfilePoint:
    """What is done at one point, as a device is told it."""

    mode: str = INFERENCE
    variable: str = LATENCY
    limits: Mapping[str, float] = field(default_factory=dict)
    """As `Profile.limits` says them."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ProfilePoint:
        """Of the options of a measure stage."""
        names = ("memory_limit_bytes", "time_limit_s")
        limits = {name: float(options[name]) for name in names if options.get(name) is not None}
        return cls(str(options.get("mode", INFERENCE)), str(options.get("variable", LATENCY)), limits)


USUAL_POINT = ProfilePoint()


class ProfileForm(Form):
    """A profiling grid: each point in a process of its own."""

    observe: list[Literal["latency", "memory"]] = Field(
        ["latency"],
        min_length=1,
        description="What is observed, each in points of its own: values of the axis `variable`.",
        examples=[["latency", "memory"]],
    )
    until_first_failure: Literal["batch"] | None = Field(
        None,
        description="batch: the batches of a model, mode, variable, runtime and device come in order, and after the "
        "first that fails the larger ones are skipped; null: all are tried.",
        examples=["batch"],
    )
    memory_limit_bytes: int | None = Field(
        None,
        ge=1,
        le=1 << 50,
        description="A point that observes memory fails where its peak above idle is more than this; null: no limit.",
    )
    time_limit_s: float | None = Field(
        None, gt=0, le=86_400, description="A point fails where its first call takes longer; null: no limit."
    )


def read_profile(form: ProfileForm | None) -> Profile | None:
    """None where a study does not speak of it."""
    if form is None:
        return None
    return Profile(form.until_first_failure, form.memory_limit_bytes, form.time_limit_s)


def observed(
    form: ProfileForm | None, choices: Mapping[str, tuple[Any, ...]], listed: Sequence[str], file: Path
) -> dict[str, tuple[Any, ...]]:
    """The choices of a study with those of `profile.observe` as the values of the axis `variable`.

    listed: axes that the study lists. Raises StudyError where it says both, or observes a thing twice.
    """
    if form is None or "observe" not in form.model_fields_set:
        return dict(choices)
    if "variable" in listed:
        raise StudyError(
            "says what axes.variable says", file=file, key="profile.observe", value=form.observe, allowed="one of both"
        )
    if len(set(form.observe)) < len(form.observe):
        allowed = f"each of {', '.join(VARIABLES)} once"
        raise StudyError("has one twice", file=file, key="profile.observe", value=form.observe, allowed=allowed)
    return {**choices, "variable": tuple(form.observe)}
