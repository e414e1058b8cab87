"""On what networks are calibrated before they are quantised: what a study says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from sweep.errors import StudyError
from sweep.study.datasets import Dataset, dataset_named
from sweep.study.precisions import Precision
from sweep.study.reading.form import Form, Name, refuse

__all__ = ["Calibration", "CalibrationForm", "read_calibration"]

_RANDOM = 32
_OF_DATASET = 128


class CalibrationForm(Form):
    """`calibration:` of a study."""

    dataset: Name | None = Field(
        None,
        description="A name under `datasets:`; of its samples those that are not kept for evaluating.",
        examples=["digits"],
    )
    samples: int | None = Field(
        None, ge=1, le=100_000, description=f"So many of them, drawn by the seed; by default {_OF_DATASET}."
    )
    random: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Made-up samples in place of a data set, from the seed, within what `inputs:` of a model says. A "
        "poor calibration: ranges are those of noise.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> CalibrationForm:
        if self.random is None and self.dataset is None:
            raise refuse("names no samples", allowed="dataset: NAME, or random: N")
        if self.random is not None and self.dataset is not None:
            raise refuse("does not go with dataset", key="random", value=self.random, allowed="one of both")
        if self.dataset is None and self.samples is not None:
            raise refuse("is of a data set", key="samples", value=self.samples, allowed="dataset: NAME beside it")
        return self


@dataclass(frozen=True, slots=True)
class Calibration:
    """What ranges are observed on."""

    samples: int = _RANDOM
    dataset: Dataset | None = None
    """None: made-up samples."""
    is_asked: bool = field(default=False, compare=False)
    """Whether the study says how many of a data set: then there must be so many. The work is the same."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the stage, beside what the model adds."""
        if self.dataset is None:
            return {"samples": self.samples}
        return {"samples": self.samples, "dataset": dict(self.dataset.options)}

    @property
    def hints(self) -> Mapping[str, Any]:
        """Where its files are, and what it is called."""
        return {} if self.dataset is None else {"dataset": self.dataset.name, "dataset_files": dict(self.dataset.files)}

    @property
    def written(self) -> Mapping[str, Any]:
        """The mapping that reads as this."""
        if self.dataset is None:
            return {"random": self.samples}
        return {"dataset": self.dataset.name} | ({"samples": self.samples} if self.is_asked else {})

    @property
    def distributions(self) -> tuple[str, ...]:
        """Packages that read it."""
        return () if self.dataset is None else self.dataset.distributions


def read_calibration(
    form: CalibrationForm | None, datasets: Mapping[str, Dataset], precisions: Mapping[str, Precision], file: Path
) -> Calibration:
    """Made-up samples where a study says nothing of it. precisions: its own.

    Raises StudyError for a data set that there is not, or that a precision needs.
    """
    needing = next((one for one in precisions.values() if one.options.get("calibrate_classes")), None)
    if needing is not None and (form is None or form.dataset is None):
        problem, allowed = f"is calibrated on classes {needing.options['calibrate_classes']}", "dataset: NAME"
        raise StudyError(problem, file=file, key="calibration", value=needing.name, allowed=allowed)
    if form is None:
        return Calibration()
    if form.dataset is None:
        return Calibration(form.random or _RANDOM)
    dataset = dataset_named(datasets, form.dataset, file, "calibration.dataset")
    return Calibration(form.samples or _OF_DATASET, dataset, form.samples is not None)
