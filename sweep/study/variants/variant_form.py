"""The form of variants in a study file: which model they are made of, how, and at which levels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweep.study.reading.form import Form, Name, refuse

__all__ = ["STEPS", "PruneForm", "SparsifyForm", "TrainForm", "VariantForm"]

STEPS = ("prune", "sparsify", "train")
"""Ways to make a variant: keys of its form."""

_DEFAULTED = ("prune", "sparsify")
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


class TrainForm(_StepForm):
    """The network learns from labelled samples, and loses weights on the way: first none, then more and more, then no
    further ones.
    """

    dataset: str = Field(min_length=1, description="A name of `datasets:`.", examples=["digits"])
    levels: list[Level] = Field(
        [0.0],
        min_length=1,
        description="Shares of the weights of all layers that are zero in the end, a variant each; 0: a dense network.",
        examples=[[0.0, 0.8]],
    )
    rates: dict[str, Level] = Field(
        {},
        description="Other shares, by the name of a layer's weight as `sweep inspect --layers` has it; * as in file "
        "names.",
        examples=[{"features.0.*": 0.5}],
    )
    distribution: Literal["by-size", "uniform"] = Field(
        "by-size",
        description="Whether small layers keep more of their weights, or each layer loses the same share.",
    )
    exclude_first: bool = Field(False, description="Whether the first layer keeps its weights.")
    pretrain_steps: int = Field(300, ge=0, le=1_000_000, description="Steps before any weight goes.")
    sparse_steps: int = Field(600, ge=0, le=1_000_000, description="Steps in which they go.")
    finetune_steps: int = Field(600, ge=0, le=1_000_000, description="Steps with what is left.")
    frequency: int = Field(10, ge=1, le=100_000, description="Weights go at every so many steps.")
    batch_size: int = Field(64, ge=1, le=4096, description="Samples a step.")
    learning_rate: float = Field(
        0.002, gt=0, le=1, description="Of AdamW; in the last steps it falls to a hundredth, as half a cosine."
    )

    @model_validator(mode="after")
    def _trains(self) -> TrainForm:
        if not self.pretrain_steps + self.sparse_steps + self.finetune_steps:
            raise refuse(
                "leaves no step to train", key="pretrain_steps", value=0, allowed="from 1 in some of the three"
            )
        return self


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
    train: TrainForm | None = Field(None, description="It learns from a data set, and loses weights on the way.")

    @model_validator(mode="before")
    @classmethod
    def _empty_steps(cls, value: Any) -> Any:
        """`prune:` with every line under it left out means its defaults."""
        if isinstance(value, dict):
            return {key: {} if key in _DEFAULTED and inner is None else inner for key, inner in value.items()}
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
