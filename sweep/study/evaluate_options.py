"""What a study wants to know of its cells' quality: on which samples, and by which metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from sweep.errors import StudyError
from sweep.study.datasets import Dataset, dataset_named
from sweep.study.reading.form import Form, Name, refuse
from sweep.suggestions import hint, listed

__all__ = ["METRICS", "Evaluate", "EvaluateForm", "read_evaluate"]

METRICS = ("accuracy", "top5", "precision", "recall", "g_mean")


@dataclass(frozen=True, slots=True)
class Evaluate:
    """How cells are evaluated."""

    dataset: Dataset
    samples: int | None = None
    """At most so many; None: all that are kept for it."""
    split: str = "test"
    metrics: tuple[str, ...] = METRICS
    models: tuple[str, ...] = ()
    """Of these models alone; empty: of all."""
    written: Mapping[str, object] = field(default_factory=dict, compare=False)

    def takes(self, model: str) -> bool:
        """Whether cells of a model are evaluated."""
        return not self.models or model in self.models


class EvaluateForm(Form):
    """The stage that runs a cell over labelled samples."""

    dataset: Name | None = Field(None, description="A name under `datasets:`.", examples=["digits"])
    samples: int | None = Field(
        None, ge=1, le=10_000_000, description="At most so many, drawn by the study's seed; by default all."
    )
    split: Literal["test", "train", "all"] = Field(
        "test", description="Which part of the data set; one that keeps nothing apart has all in each."
    )
    metrics: list[Literal[METRICS]] = Field(  # type: ignore[valid-type]
        list(METRICS),
        min_length=1,
        description="What is recorded, by default all; accuracy always is.",
    )
    models: list[Name] | None = Field(None, min_length=1, description="Of these models alone; by default of all.")
    layer_error: bool = Field(
        False,
        description="Layers of quantised networks are compared with the float ones; takes no dataset.",
    )

    layer_latency: bool = Field(
        False,
        description="Layers of quantised networks are timed on the device beside the float ones, and advice is given "
        "which to keep in float32; takes no dataset.",
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> EvaluateForm:
        if self.dataset is None and not (self.layer_error or self.layer_latency):
            allowed = "a name under `datasets:`, or layer_error: true, or layer_latency: true"
            raise refuse("is missing", key="dataset", allowed=allowed)
        return self


def read_evaluate(
    form: EvaluateForm | None, datasets: Mapping[str, Dataset], models: Sequence[str], file: Path
) -> Evaluate | None:
    """What a study file says; None where it evaluates nothing. Raises StudyError for a name that is none."""
    if form is None or form.dataset is None:
        return None
    dataset = dataset_named(datasets, form.dataset, file, "evaluate.dataset")
    for name in form.models or ():
        if name not in models:
            raise StudyError(
                f"is no model{hint(name, models)}", file=file, key="evaluate.models", value=name, allowed=listed(models)
            )
    written = form.model_dump(exclude_defaults=True, exclude={"layer_error", "layer_latency"})
    chosen = tuple(name for name in METRICS if name in form.metrics)
    return Evaluate(dataset, form.samples, form.split, chosen, tuple(form.models or ()), written)
