"""On what networks are calibrated before they are quantised: what a study says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from sweep.study.reading.form import Form, refuse

__all__ = ["Calibration", "CalibrationForm", "read_calibration"]

_RANDOM = 32


class CalibrationForm(Form):
    """`calibration:` of a study."""

    random: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Made-up samples, from the seed, within what `inputs:` of a model says. A poor calibration: ranges "
        "are those of noise.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> CalibrationForm:
        if self.random is None:
            raise refuse("names no samples", allowed="random: N")
        return self


@dataclass(frozen=True, slots=True)
class Calibration:
    """What ranges are observed on."""

    samples: int = _RANDOM

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the stage, beside what the model adds."""
        return {"samples": self.samples}


def read_calibration(form: CalibrationForm | None) -> Calibration:
    """Made-up samples where a study says nothing of it."""
    return Calibration() if form is None or form.random is None else Calibration(form.random)
