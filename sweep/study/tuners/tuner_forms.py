"""The catalogue of tuners: names, options and their defaults, in one table.

The options here are what a person may write; what a tuner does with them is `sweep.search`'s.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, GetJsonSchemaHandler, Tag, field_validator, model_validator

from sweep.study.reading.form import OWN, Form, Name, refuse
from sweep.study.tuners.own_tuner import installed_names
from sweep.suggestions import listed

__all__ = ["CATALOGUE", "NoTuner", "OwnTuner", "SearchForm", "TunerEntry", "TunerForm"]

SOURCE = "source_sha256"
"""The option by which changed code of a person's own tuner makes new stages."""

_IMPORT_PATH = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"


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

    trials_per_task: int | None = Field(
        32, ge=1, le=100_000, description="Candidates measured for each task, at most; null: no limit for one task."
    )
    trials_total: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="Candidates measured for each target and device over all models, at most, shared out by expected "
        "gain; null: no limit.",
    )
    hours: float | None = Field(
        None, gt=0, le=10_000, description="Time limit for each target and device over all models; null: none."
    )
    round: int = Field(16, ge=1, le=1024, description="Candidates that are asked for at a time.")
    early_stopping: int | None = Field(
        None, ge=1, le=100_000, description="Leave a task after this many candidates without a better one; null: never."
    )
    builder_timeout_s: float = Field(30.0, gt=0, le=3600, description="A candidate that builds longer has failed.")
    runner_timeout_s: float = Field(10.0, gt=0, le=3600, description="A candidate that is measured longer has failed.")
    number: int = Field(1, ge=1, le=10_000, description="Calls a repeat of a candidate's measurement.")
    repeat: int = Field(3, ge=1, le=1_000, description="Repeats of a candidate's measurement.")
    min_repeat_ms: int = Field(10, ge=0, le=60_000, description="`number` is raised until a repeat takes this long.")

    @model_validator(mode="after")
    def _ends(self) -> SearchForm:
        if self.trials_per_task is None and self.trials_total is None and self.hours is None:
            raise refuse(
                "has no end without trials_total or hours",
                key="trials_per_task",
                allowed="a whole number from 1, or null beside trials_total or hours",
            )
        return self


class RandomOptions(SearchForm):
    """Schedules drawn evenly: a baseline that learns nothing."""

    name: Literal["random"]


class GridOptions(SearchForm):
    """Systematic enumeration of a task's schedules, in strides through all of them."""

    name: Literal["gridsearch"]


class GeneticOptions(SearchForm):
    """A population that evolves by measured times alone."""

    name: Literal["ga"]
    population: int = Field(32, ge=2, le=65_536, description="Fastest schedules that are parents of the next.")


class DropletOptions(SearchForm):
    """Coordinate descent: from the fastest schedule to its neighbours, one decision at a time."""

    name: Literal["droplet"]


class GuidedForm(SearchForm):
    """What tuners led by a cost model have."""

    population: int = Field(512, ge=2, le=65_536, description="Schedules that evolve on predictions at a time.")
    generations: int = Field(3, ge=1, le=100, description="Times that the population evolves for a round.")


class XgbOptions(GuidedForm):
    """Evolutionary search led by a cost model of boosted trees, which learns from every measurement."""

    name: Literal["xgb"]


class MlpOptions(GuidedForm):
    """The same with a neural network as cost model; needs torch."""

    name: Literal["mlp"]


class OptunaOptions(SearchForm):
    """A sampler of the optimiser Optuna, which the extra `optuna` brings."""

    name: Literal["optuna"]
    sampler: Literal["tpe", "nsgaii", "qmc", "random"] = Field(
        "tpe",
        description="tpe: tree-structured Parzen estimators; nsgaii: its genetic algorithm, a round its population; "
        "qmc: Sobol's sequence; random.",
    )


CATALOGUE: dict[str, type[TunerForm]] = {
    "none": NoTuner,
    "random": RandomOptions,
    "gridsearch": GridOptions,
    "ga": GeneticOptions,
    "droplet": DropletOptions,
    "xgb": XgbOptions,
    "mlp": MlpOptions,
    "optuna": OptunaOptions,
}


# -- a person's own ---------------------------------------------------------------------------------------------------


def is_own(name: str) -> bool:
    """Whether a name is that of a person's own tuner."""
    return name not in CATALOGUE and (":" in name or name in installed_names())


def _well_formed(name: str) -> str:
    if ":" in name and not re.match(_IMPORT_PATH, name):
        raise refuse(
            "is not a module and an attribute", allowed=f"{OWN}, such as my_tuners.annealing:Annealing", value=name
        )
    return name


class _OwnNameSchema:
    """Names of installed packages are known when the schema is made, and not before."""

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        own: dict[str, Any] = {"type": "string", "pattern": _IMPORT_PATH, "title": OWN}
        names = installed_names()
        return {"anyOf": [{"type": "string", "enum": names}, own]} if names else own


OwnName = Annotated[str, AfterValidator(_well_formed), _OwnNameSchema()]


class OwnTuner(SearchForm):
    """A tuner of one's own: `module:attribute`, or a name of the entry-point group sweep.tuners."""

    name: OwnName = Field(description="module:attribute, or a name of the entry-point group sweep.tuners.")
    options: dict[str, Any] = Field({}, description="Options of the tuner itself; it gets them beside the others.")

    @classmethod
    def about_unknown(cls, key: str) -> str:
        """Its own options have a place of their own."""
        return super().about_unknown(key) or f"; an option of the tuner itself is written in options: {{{key}: ...}}"

    @field_validator("options", mode="after")
    @classmethod
    def _go_beside_the_others(cls, options: dict[str, Any]) -> dict[str, Any]:
        taken = [*SearchForm.model_fields, "name", "options", SOURCE]
        for key, value in options.items():
            if key in taken:
                raise refuse(
                    "is the name of an option that every tuner has",
                    key=key,
                    value=value,
                    allowed=f"names other than {listed(taken)}",
                )
        return {key: _plain(value, key) for key, value in options.items()}


def _plain(value: Any, key: str) -> Any:
    """As JSON has it, so that the same options are the same stage."""
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _plain(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, key) for inner in value]
    if isinstance(value, float) and math.isfinite(value):
        return value + 0.0  # -0.0 becomes 0.0
    if value is None or isinstance(value, (str, int)):
        return value
    raise refuse(
        "is no plain value", key=key, value=value, allowed="finite numbers, text, true, false, null, lists, mappings"
    )


def _which(value: object) -> str | None:
    if isinstance(value, str):
        return "own text" if is_own(value) else "text"
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    if not isinstance(name, str):
        return None
    return "own" if is_own(name) else name


TunerEntry = Annotated[
    Annotated[Literal["none", "random", "gridsearch", "ga", "droplet", "xgb", "mlp", "optuna"], Tag("text")]
    | Annotated[OwnName, Tag("own text")]
    | Annotated[NoTuner, Tag("none")]
    | Annotated[RandomOptions, Tag("random")]
    | Annotated[GridOptions, Tag("gridsearch")]
    | Annotated[GeneticOptions, Tag("ga")]
    | Annotated[DropletOptions, Tag("droplet")]
    | Annotated[XgbOptions, Tag("xgb")]
    | Annotated[MlpOptions, Tag("mlp")]
    | Annotated[OptunaOptions, Tag("optuna")]
    | Annotated[OwnTuner, Tag("own")],
    Discriminator(_which),
]
