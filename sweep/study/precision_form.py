"""A precision as a study describes it: a number type with options, under a name of its own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sweep.study.precisions import PRECISIONS, QUANTISED, Precision
from sweep.study.reading.form import Form, Name, refuse
from sweep.suggestions import hint, listed

__all__ = ["PrecisionForm", "as_written", "read_precision"]

_WHOLE = "float32"
_KEPT = ("float32", "float32_first", "float32_last")
_WORST = "float32_worst"
_ADVISED = "float32_advised"
_PERCENTILE = "percentile"
_CLASSES = "calibrate_classes"
_OF_INT8 = (*QUANTISED, _WORST, _ADVISED, _PERCENTILE, _CLASSES)


class PrecisionForm(Form):
    """A number type with options."""

    name: Name = Field(description="Its value on the precision axis.")
    dtype: str = Field(description="The number type, by its name as a precision.", examples=["float16"])
    strategy: Literal["null", "minmax", "scale_shift", "symmetry_max"] | None = Field(
        None, description=f"How ranges become scales, of int8; by default {QUANTISED['strategy']}."
    )
    per: Literal["tensor", "channel"] | None = Field(
        None, description=f"What has a scale of its own in weights, of int8; by default a {QUANTISED['per']}."
    )
    calibrate: Literal["minmax", "percentile", "kl", "mse"] | None = Field(
        None, description=f"How ranges of activations are found, of int8; by default {QUANTISED['calibrate']}."
    )
    calibrate_classes: list[int] | None = Field(
        None, min_length=1, description="Ranges are found on these classes of the data set alone, of int8."
    )
    percentile: float | None = Field(
        None, ge=50, le=100, description="Of absolute values that `calibrate: percentile` keeps; by default 99.99."
    )
    execution: Literal["simulated", "integer"] | None = Field(
        None, description=f"In floats between rounding, or in integers, of int8; by default {QUANTISED['execution']}."
    )
    float32: list[str] = Field(
        [], description="Layers that stay in float32, as `sweep inspect` names them; * and ? as in file names."
    )
    float32_worst: int | None = Field(
        None, ge=1, le=1000, description="So many layers whose quantisation costs most stay in float32, of int8."
    )
    float32_advised: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="So many layers stay in float32 that gain most for what they cost in time on the device, of int8.",
    )
    float32_first: bool = Field(False, description="Whether the first convolution or dense layer stays in float32.")
    float32_last: bool = Field(False, description="Whether the last convolution or dense layer stays in float32.")

    @model_validator(mode="after")
    def _go_together(self) -> PrecisionForm:
        names = [name for name in PRECISIONS.names() if name != _WHOLE and PRECISIONS.get(name).dtype == name]
        if self.dtype not in names:
            problem = f"is no number type that a network is converted to{hint(self.dtype, names)}"
            raise refuse(problem, key="dtype", value=self.dtype, allowed=listed(names))
        if self.name in PRECISIONS and PRECISIONS.get(self.name).dtype != self.dtype:
            problem, allowed = f"is the name of another precision than {self.dtype}", "a name of its own"
            raise refuse(problem, key="name", value=self.name, allowed=allowed)
        if self.percentile is not None and self.calibrate != "percentile":
            allowed = "calibrate: percentile beside it"
            raise refuse("is of another calibration", key="percentile", value=self.percentile, allowed=allowed)
        for key in _OF_INT8 if self.dtype != "int8" else ():
            if key in self.model_fields_set:
                allowed = listed(["name", "dtype", *_KEPT])
                raise refuse(
                    f"is an option of int8, not of {self.dtype}", key=key, value=getattr(self, key), allowed=allowed
                )
        return self


def read_precision(form: PrecisionForm) -> Precision:
    """The precision that a person describes, every default filled in. `strategy: null` is YAML for no text at all."""
    table = PRECISIONS.get(form.dtype)
    said = {key: getattr(form, key) for key in QUANTISED if key in form.model_fields_set}
    if "strategy" in said:
        said["strategy"] = said["strategy"] or "null"
    quantised = {**QUANTISED, **{key: value for key, value in said.items() if value is not None}}
    if form.calibrate_classes is not None:
        quantised[_CLASSES] = sorted(set(form.calibrate_classes))
    if form.percentile is not None:
        quantised[_PERCENTILE] = form.percentile
    kept = {"float32": sorted(set(form.float32))} | {key: getattr(form, key) for key in (_WORST, _ADVISED, *_KEPT[1:])}
    options = (quantised if form.dtype == "int8" else {}) | {key: value for key, value in kept.items() if value}
    return Precision(form.name, table.dtype, table.tolerance, table.passes, table.needs_calibration, options)


def as_written(name: str, precision: Precision) -> dict[str, Any]:
    """The mapping that reads as this precision."""
    return {"name": name, "dtype": precision.dtype, **precision.options}
