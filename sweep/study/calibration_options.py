"""On what networks are calibrated before they are quantised: what a study says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from sweep.errors import StudyError
from sweep.study.calibration_table import HISTOGRAMS, SavedTable, read_saved_table
from sweep.study.datasets import Dataset, dataset_named
from sweep.study.importers.importer import WrittenModel
from sweep.study.precisions import Precision
from sweep.study.reading.form import Form, Name, refuse
from sweep.suggestions import hint, listed

__all__ = ["Calibration", "CalibrationForm", "read_calibration"]

_RANDOM = 32
_OF_DATASET = 128
_ALL = ""
"""Of which network a table is that is named without one."""
_BY_HISTOGRAM = ("percentile", "kl", "mse")
"""Ways to find a range that take more than its ends."""


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
    table: str | dict[str, str] | None = Field(
        None,
        description="A table of ranges that a sweep has saved, its `ranges.json` or the folder of that, in place of "
        "running samples; or one for each model, by name. What `dataset` or `random` say beside it is for models "
        "without one, and for comparing layers.",
        examples=["../former/artifacts/calibrate/0123456789abcdef"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> CalibrationForm:
        if self.table is not None and not (self.table and (isinstance(self.table, str) or all(self.table.values()))):
            raise refuse("names no file", key="table", value=self.table, allowed="a path, or {MODEL: PATH}")
        if self.random is None and self.dataset is None and not self.table:
            raise refuse("names no samples", allowed="dataset: NAME, random: N, or table: FILE")
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
    tables: Mapping[str, SavedTable] = field(default_factory=dict)
    """Ranges that are known already, by model; one for all of them under an empty name."""
    has_samples: bool = field(default=True, compare=False)
    """Whether the study says what models without a table are calibrated on."""

    def table_of(self, model: str) -> SavedTable | None:
        """What is read in place of running samples."""
        return self.tables.get(model, self.tables.get(_ALL))

    def key_of(self, model: str) -> str:
        """Of the study, which names the table of a model."""
        return f"calibration.table.{model}" if model in self.tables else "calibration.table"

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
        """The mapping that reads as this, but for the paths of tables."""
        if self.dataset is None:
            return {"random": self.samples} if self.has_samples else {}
        return {"dataset": self.dataset.name} | ({"samples": self.samples} if self.is_asked else {})

    def written_tables(self, path_of: Callable[[SavedTable], str]) -> dict[str, Any]:
        """What is said of tables in it; path_of: from the study file that is to be written."""
        paths = {model: path_of(table) for model, table in self.tables.items()}
        return {"table": paths.get(_ALL, paths)} if paths else {}

    @property
    def distributions(self) -> tuple[str, ...]:
        """Packages that read it."""
        return () if self.dataset is None else self.dataset.distributions


def read_calibration(
    form: CalibrationForm | None,
    datasets: Mapping[str, Dataset],
    precisions: Mapping[str, Precision],
    models: Sequence[str],
    file: Path,
) -> Calibration:
    """Made-up samples where a study says nothing of it. precisions, models: its own.

    Raises StudyError for a data set that there is not, or that a precision needs, and for a table that does not serve.
    """
    needing = next((one for one in precisions.values() if one.options.get("calibrate_classes")), None)
    if needing is not None and (form is None or form.dataset is None or form.table is not None):
        problem = f"is calibrated on classes {needing.options['calibrate_classes']}"
        allowed = "dataset: NAME" + ("" if form is None or form.table is None else ", without a table")
        raise StudyError(problem, file=file, key="calibration", value=needing.name, allowed=allowed)
    if form is None:
        return Calibration()
    tables = {} if form.table is None else _tables(form.table, precisions, models, file)
    has_samples = form.dataset is not None or form.random is not None
    if form.dataset is None:
        return Calibration(form.random or _RANDOM, tables=tables, has_samples=has_samples)
    dataset = dataset_named(datasets, form.dataset, file, "calibration.dataset")
    return Calibration(form.samples or _OF_DATASET, dataset, form.samples is not None, tables)


def _tables(
    written: str | Mapping[str, str], precisions: Mapping[str, Precision], models: Sequence[str], file: Path
) -> dict[str, SavedTable]:
    key = "calibration.table"
    named = {_ALL: written} if isinstance(written, str) else written
    places = {model: key if model == _ALL else f"{key}.{model}" for model in named}
    for model in named:
        if model != _ALL and model not in models:
            problem, allowed = f"is no model of the study{hint(model, models)}", listed(models)
            raise StudyError(problem, file=file, key=places[model], value=model, allowed=allowed)
    found = {model: read_saved_table(WrittenModel(path, file, places[model])) for model, path in named.items()}
    needing = next((one for one in precisions.values() if one.options.get("calibrate") in _BY_HISTOGRAM), None)
    bare = next((model for model, table in found.items() if not table.has_histograms), None)
    if needing is not None and bare is not None:
        problem = (
            f"has no {HISTOGRAMS} beside it, which {needing.name} (calibrate: {needing.options['calibrate']}) takes"
        )
        allowed = "both files of a calibration, or calibrate: minmax"
        raise StudyError(problem, file=file, key=places[bare], value=named[bare], allowed=allowed)
    return found
