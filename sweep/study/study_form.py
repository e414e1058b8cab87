"""The form of a study file: its keys, types, defaults and limits. What needs other files is checked in `gate`."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model, model_validator

from sweep.study.axes import AXES, all_axes, axes_under, listed_axes
from sweep.study.axis import Axis
from sweep.study.axis_form import choice_of, list_of, text_or_mapping
from sweep.study.calibration_options import CalibrationForm
from sweep.study.datasets import DatasetForm
from sweep.study.evaluate_options import EvaluateForm
from sweep.study.final_options import FinalForm, null_or_mapping
from sweep.study.measure_options import MeasureForm
from sweep.study.model_form import ModelForm
from sweep.study.notify import NotifyForm
from sweep.study.objective import ObjectiveForm
from sweep.study.planner_options import PlannerForm
from sweep.study.profile_options import ProfileForm
from sweep.study.reading.form import Form, Name, Slug, VersionedForm, refuse
from sweep.study.run_budget import BudgetForm
from sweep.study.tags import TagTexts
from sweep.study.targets.target_form import TargetForm
from sweep.study.tuners.tuner_forms import TunerEntry
from sweep.study.variants.variant_form import VariantForm

__all__ = ["ModelForm", "RuleForm", "StudyForm", "study_form"]


class RuleForm(Form):
    """Some cells, by their values on some axes; a list means any of its values."""

    @model_validator(mode="before")
    @classmethod
    def _names_something(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if not value:
                raise refuse("names no axis", allowed=", ".join(cls.allowed_keys()))
            for key, choice in value.items():
                if choice is None:
                    raise refuse("has no value", key=key, allowed="a value of this axis, or a list of them")
        return value


def _kind_of_model(value: object) -> str | None:
    is_variant = "from" in value if isinstance(value, dict) else isinstance(value, VariantForm)
    return "variant" if is_variant else text_or_mapping(value)


ModelEntry = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")]
    | Annotated[ModelForm, Tag("mapping")]
    | Annotated[VariantForm, Tag("variant")],
    Discriminator(_kind_of_model),
]
TargetEntry = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")] | Annotated[TargetForm, Tag("mapping")],
    Discriminator(text_or_mapping),
]


def _empty_is_empty(value: Any) -> Any:
    return {} if value is None else value  # `axes:` with every line under it commented out


class StudyForm(VersionedForm):
    """A study: a grid of benchmarks, and the question that it answers.

    Not to be filled in itself: what depends on the axes that there are is in the form that `study_form` gives.
    """

    model_config = ConfigDict(defer_build=True)

    study: Slug = Field(
        description="Its name: small letters, digits and dashes; the MLflow experiment is named so.",
        examples=["cpu-quickstart"],
    )
    question: str = Field("", description="What the study answers, in a sentence.", max_length=2_000)
    models: list[ModelEntry] = Field(
        min_length=1, description="Networks, each a path or a mapping.", examples=[["onnx-light:squeezenet"]]
    )
    targets: list[TargetEntry] = Field(
        ["native"],
        min_length=1,
        description="What code is generated for: native, a tag of TVM, a classic target string or a mapping.",
        examples=[["native", "llvm -mcpu=nehalem", {"name": "avx2", "kind": "llvm", "mcpu": "core-avx2"}]],
    )
    tuners: list[TunerEntry] = Field(
        ["none"],
        min_length=1,
        description="Ways to search schedules, each a name or a mapping with options.",
        examples=[["none", {"name": "xgb", "trials_per_task": 32}]],
    )
    opt_levels: list[Any] = Field([])
    axes: Any = None
    devices: list[str] | None = Field(
        None, min_length=1, description="Keys of the cluster file; by default every device that a target fits."
    )
    exclude: list[Any] = Field([])
    include: list[Any] = Field([])
    runtimes: list[str] = Field(
        ["tvm", "onnxruntime"],
        min_length=1,
        description="What runs the networks: tvm, for what is compiled here, and others to compare it with; each a "
        "name or module:attribute. By default tvm, and what runs the models' own files: onnxruntime, litert.",
        examples=[["tvm", "onnxruntime"], ["tvm"]],
    )
    baseline: str | None = Field(
        None,
        description="The runtime whose time others are divided by; by default onnxruntime where it is among them, else "
        "the first that is not tvm.",
        examples=["onnxruntime"],
    )
    reference: list[str] | None = Field(
        None, description="The runtimes without tvm: an earlier word for `runtimes`; an empty list leaves tvm alone."
    )
    measure: Annotated[MeasureForm, BeforeValidator(_empty_is_empty)] = Field(
        MeasureForm(), description="How a cell is measured."
    )
    budget: Annotated[BudgetForm, BeforeValidator(_empty_is_empty)] = Field(
        BudgetForm(), description="What a run may cost."
    )
    final: Annotated[FinalForm | None, BeforeValidator(null_or_mapping)] = Field(
        FinalForm(), description="The best cells compared in turns once all are measured; null: no such comparison."
    )
    seed: int = Field(0, ge=0, le=(1 << 31) - 1, description="For inputs, random weights and search.")
    tags: TagTexts = Field({}, description="Of the study and all its cells: in MLflow, tables and report.")
    cell_tags: list[Any] = Field([])
    notify: NotifyForm | None = Field(None, description="Who is told how a run ended.")
    planner: PlannerForm | None = Field(
        None,
        description="Learns while the study runs, and skips cells that cannot be the best.",
        examples=[{"predictor": "self", "prune": 0.5, "audit": 0.1}],
    )
    calibration: CalibrationForm | None = Field(
        None, description="What quantised networks are calibrated on.", examples=[{"random": 64}]
    )
    profile: ProfileForm | None = Field(
        None,
        description="A profiling grid: what is observed of each point, its limits, when larger batches are skipped.",
        examples=[{"observe": ["latency", "memory"], "until_first_failure": "batch", "memory_limit_bytes": 500000}],
    )
    objective: ObjectiveForm | None = Field(None, description="What is wanted of a cell beside a low latency.")
    datasets: Annotated[dict[Name, DatasetForm], BeforeValidator(_empty_is_empty)] = Field(
        {},
        description="Labelled samples by name.",
        examples=[{"digits": {"sklearn": "digits", "preprocess": {"divide": 16}}}],
    )
    evaluate: EvaluateForm | None = Field(
        None, description="Cells are run over labelled samples.", examples=[{"dataset": "digits", "samples": 200}]
    )

    @classmethod
    def about_unknown(cls, key: str) -> str:
        """An axis without a key of its own has its place."""
        is_axis = key in [axis.name for axis in axes_under()]
        return f"; an axis is written in axes: {{{key}: [...]}}" if is_axis else super().about_unknown(key)

    def values_of(self, axis: Axis) -> list[Any]:
        """What it lists for an axis."""
        values: list[Any] = getattr(self, axis.key) if axis.key else getattr(self.axes, axis.name)
        return values

    def names_of(self, axis: Axis) -> list[Any]:
        """The same, with the name alone of what it writes as a mapping."""
        return [value if isinstance(value, (str, int)) else value.name for value in self.values_of(axis)]

    def described(self) -> dict[str, dict[str, Any]]:
        """What it says of values by writing them, by axis and name; nothing of an axis without."""
        found: dict[str, dict[str, Any]] = {}
        for axis in listed_axes():
            if axis.described is None:
                continue
            if axis.described.form is None:
                forms = {name: name for name in self._named(axis)}
            else:
                listed = [value for value in self.values_of(axis) if isinstance(value, axis.described.form)]
                forms = {value.name: value for value in listed}
            found[axis.name] = {name: axis.described.read(form) for name, form in forms.items()}
        return {name: values for name, values in found.items() if values}

    def _named(self, axis: Axis) -> list[str]:
        """Values that it lists of an axis, or names in a rule beside the default."""
        place = self if axis.key else self.axes
        listed = self.values_of(axis) if (axis.key or axis.name) in place.model_fields_set else []
        ruled = [getattr(rule, axis.name) for rule in self.include]
        others = [name for one in ruled for name in (one if isinstance(one, list) else [one])]
        return [*listed, *(name for name in others if name not in (None, axis.default))]


_TAGGED = [{"cells": {"tuner": "xgb"}, "tags": {"candidate": "release"}}]


def study_form() -> type[StudyForm]:
    """The form of a study file, with the axes and the values that there are now."""
    return _study_form(AXES.version, tuple(axis.choices for axis in all_axes()))


@lru_cache(maxsize=1)
def _study_form(version: int, choices: tuple[Any, ...]) -> type[StudyForm]:
    """Made once, and again when there is another axis or value."""
    lists: dict[str, Any] = {axis.name: list_of(axis) for axis in axes_under()}
    values: dict[str, Any] = {axis.name: (choice_of(axis), None) for axis in all_axes()}
    axes: Any = create_model("AxesForm", __base__=Form, __doc__="Further axes.", **lists)
    rule: Any = create_model("RuleForm", __base__=RuleForm, __doc__=RuleForm.__doc__, **values)
    rules: Any = list[rule]
    tagged: Any = create_model(
        "CellTagsForm",
        __base__=Form,
        __doc__="Tags of some cells.",
        cells=(rule, Field(description="Which.")),
        tags=(TagTexts, Field(description="What they get beside those of the study.")),
    )
    example = [[{"tuner": "xgb", "opt_level": 0}]]
    all_values = "Cells to add, also excluded ones; an axis that is not named has all its values."
    fields: dict[str, Any] = {
        **{axis.key: list_of(axis) for axis in listed_axes() if axis.key},
        "axes": (Annotated[axes, BeforeValidator(_empty_is_empty)], Field(axes(), description="Further axes.")),
        "exclude": (rules, Field([], description="Cells to leave out.", examples=example)),
        "include": (rules, Field([], description=all_values)),
        "cell_tags": (list[tagged], Field([], description="Tags of some cells.", examples=[_TAGGED])),
    }
    doc = "A study: a grid of benchmarks, and the question that it answers."
    return create_model("StudyForm", __base__=StudyForm, __doc__=doc, **fields)
