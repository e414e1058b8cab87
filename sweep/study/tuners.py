"""The catalogue of tuners: names, options and their defaults, in one table.

The options here are what a person may write; what a tuner does with them is the toolchain's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from sweep.study.form import Form, Name
from sweep.study.suggest import listed

__all__ = ["CATALOGUE", "NOT_YET", "NoTuner", "RandomTuner", "TunerEntry", "TunerForm", "XgbTuner"]


class TunerForm(Form):
    """What every tuner has."""

    label: Name | None = Field(
        None, description="The tuner's value on the tuner axis, by default its name; needed when a tuner appears twice."
    )

    @classmethod
    def about_unknown(cls, key: str) -> str:
        """An option of another tuner is a likelier slip than a misspelling."""
        others = [name for name, form in CATALOGUE.items() if key in form.model_fields]
        return f" (an option of {listed(others)})" if others else super().about_unknown(key)


class NoTuner(TunerForm):
    """No tuning: each task gets TVM's default schedule."""

    name: Literal["none"]


class SearchForm(TunerForm):
    """What every tuner that measures candidates has."""

    trials_per_task: int = Field(32, ge=1, le=100_000, description="Candidates measured for each task, at most.")
    trials_total: int | None = Field(
        None, ge=1, le=10_000_000, description="Candidates measured for each lowered model, at most; null: no limit."
    )
    hours: float | None = Field(None, gt=0, le=10_000, description="Time limit for each lowered model; null: none.")
    builder_timeout_s: float = Field(30.0, gt=0, le=3600, description="A candidate that builds longer has failed.")
    runner_timeout_s: float = Field(10.0, gt=0, le=3600, description="A candidate that is measured longer has failed.")
    number: int = Field(3, ge=1, le=10_000, description="Calls a repeat of a candidate's measurement.")
    repeat: int = Field(3, ge=1, le=1_000, description="Repeats of a candidate's measurement.")
    min_repeat_ms: int = Field(10, ge=0, le=60_000, description="`number` is raised until a repeat takes this long.")


class RandomTuner(SearchForm):
    """Random schedules: a baseline that learns nothing."""

    name: Literal["random"]


class XgbTuner(SearchForm):
    """Evolutionary search led by an XGBoost cost model that learns from each round."""

    name: Literal["xgb"]
    round: int = Field(16, ge=1, le=1024, description="Candidates measured between two updates of the cost model.")
    population: int = Field(128, ge=2, le=65_536, description="Schedules that evolve at a time.")
    generations: int = Field(3, ge=1, le=100, description="Times that the population evolves for a round.")
    early_stopping: int | None = Field(
        None, ge=1, le=100_000, description="Leave a task after this many candidates without a better one; null: never."
    )


CATALOGUE: dict[str, type[TunerForm]] = {"none": NoTuner, "random": RandomTuner, "xgb": XgbTuner}

NOT_YET = ("ga", "gridsearch", "droplet", "mlp")
"""Names that people know from AutoTVM and that have no tuner here yet."""


def _which(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return name if isinstance(name, str) else None


TunerEntry = Annotated[
    Annotated[Literal["none", "random", "xgb"], Tag("text")]
    | Annotated[NoTuner, Tag("none")]
    | Annotated[RandomTuner, Tag("random")]
    | Annotated[XgbTuner, Tag("xgb")],
    Discriminator(_which),
]
