"""The form of variants in a study file: which model they are made of, how, and at which levels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweep.study.reading.form import Form, Name, refuse

__all__ = ["STEPS", "PruneForm", "SparsifyForm", "VariantForm"]

STEPS = ("prune", "sparsify")
"""Ways to make a variant: keys of its form."""

Level = Annotated[float, Field(ge=0, le=0.99)]
_LEVELS = [round(0.05 * step, 2) for step in range(19)]
"""0 to 90 %."""


class _StepForm(Form):
    @model_validator(mode="after")
    def _levels_differ(self) -> _StepForm:
        levels = getattr(self, "levels", [])
        for index, level in enumerate(levels):
            if level in levels[:index]:
                raise refuse("is there twice", key=f"levels[{index}]", value=level, allowed="each level once")
        return self


class PruneForm(_StepForm):
    """Whole filters go, with all that goes with them: the network is smaller."""

    method: Literal["l1", "random"] = Field(
        "l1", description="Which filters go first: those with the smallest weights, or any, by the study's seed."
    )
    levels: list[Level] = Field(
        _LEVELS,
        min_length=1,
        description="Shares of the parameters that go, a variant each; by default 0 to 0.9 in steps of 0.05.",
        examples=[[0.0, 0.3, 0.6]],
    )


class SparsifyForm(_StepForm):
    """Single weights become zero: the network keeps its shape."""

    method: Literal["magnitude", "random"] = Field(
        "magnitude", description="Which weights: the smallest, or any, by the study's seed."
    )
    levels: list[Level] = Field(
        _LEVELS,
        min_length=1,
        description="Shares of the weights that become zero, a variant each; by default 0 to 0.9 in steps of 0.05.",
        examples=[[0.5, 0.9]],
    )
    exclude_first: bool = Field(False, description="Whether the first layer stays as it is.")
    scope: Literal["layer", "network"] = Field(
        "layer", description="Whether each layer loses this share, or all together, wherever the weights are small."
    )


class VariantForm(Form):
    """Variants of another model of the study, a model each."""

    base: str = Field(alias="from", min_length=1, description="The name of another model of the study.")
    name: Name | None = Field(
        None,
        description="What the variants are called, with the level behind it where there are several; by default "
        "MODEL-METHOD-PERCENT.",
    )
    prune: PruneForm | None = Field(None, description="Whole filters go.")
    sparsify: SparsifyForm | None = Field(None, description="Single weights become zero.")

    @model_validator(mode="before")
    @classmethod
    def _empty_steps(cls, value: Any) -> Any:
        """`prune:` with every line under it left out means its defaults."""
        if isinstance(value, dict):
            return {key: {} if key in STEPS and inner is None else inner for key, inner in value.items()}
        return value

    @model_validator(mode="after")
    def _has_one_step(self) -> VariantForm:
        said = [step for step in STEPS if getattr(self, step) is not None]
        if not said:
            raise refuse("says nothing of how it differs", value=self.base, key="from", allowed=", ".join(STEPS))
        if len(said) > 1:
            allowed = f"one of {', '.join(STEPS)}; a variant may be made of another by its name"
            raise refuse(f"does not go with {said[0]}", key=said[1], value=said[1], allowed=allowed)
        return self
