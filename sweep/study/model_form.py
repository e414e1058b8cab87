"""The form of a model in a study file: where it is, and what is said of its inputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from sweep.study.reading.form import Form, Name, refuse

__all__ = ["InputForm", "ModelForm"]

Dimension = Annotated[int, Field(ge=1, le=1 << 31)]
Shape = Annotated[list[Dimension], Field(max_length=8)]


class InputForm(Form):
    """An input of a network: its shape, and the values that it has when the network is compared and measured."""

    shape: Shape | None = Field(None, description="Its shape, where the file leaves one open.", examples=[[1, 128]])
    npz: str | None = Field(
        None, min_length=1, description="A file with the array, relative to the study file.", examples=["ids.npz"]
    )
    array: str | None = Field(None, description="The array's name in it, by default the input's.")
    range: list[float] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Random values from the first up to and without the second.",
        examples=[[0, 2]],
    )
    fill: Literal["zeros", "ones", "random"] | None = Field(None, description="What it is filled with.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> InputForm:
        given = [name for name in ("npz", "range", "fill") if getattr(self, name) is not None]
        if len(given) > 1:
            value = getattr(self, given[1])
            raise refuse(f"says what {given[0]} says", key=given[1], value=value, allowed="one of npz, range and fill")
        if self.npz is None and self.array is not None:
            raise refuse("names an array of no file", key="array", value=self.array, allowed="npz: FILE beside it")
        if not given and self.shape is None:
            raise refuse("says nothing of the input", allowed=", ".join(self.allowed_keys()))
        if self.npz is not None and self.shape is not None:
            raise refuse("does not go with npz: an array has its shape", key="shape", value=self.shape, allowed="one")
        return self


def _shape_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | Form) else "shape"


InputEntry = Annotated[
    Annotated[Shape, Tag("shape")] | Annotated[InputForm, Tag("mapping")], Discriminator(_shape_or_mapping)
]


def _name_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict) else "text"


BatchEntry = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")]
    | Annotated[dict[str, Annotated[int, Field(ge=0, le=7)]], Field(min_length=1), Tag("mapping")],
    Discriminator(_name_or_mapping),
]


class ModelForm(Form):
    """A network: where it is, and what to change about it."""

    path: str = Field(
        min_length=1,
        description="An ONNX or TFLite file, relative to the study file, or onnx-light:NAME for one that the onnx "
        "package ships.",
        examples=["onnx-light:squeezenet", "models/net.onnx"],
    )
    name: Name | None = Field(None, description="Its value on the model axis, by default the file's name.")
    inputs: dict[str, InputEntry] = Field(
        {},
        description="By input name: a shape, where the file leaves one open, or what values it has.",
        examples=[{"data": [1, 3, 224, 224], "ids": {"npz": "ids.npz"}, "types": {"range": [0, 2]}}],
    )
    batch: BatchEntry | None = Field(
        None,
        description="The dimension that axes.batch sets: the name of an open one, or {INPUT: INDEX}; as-is: none. By "
        "default the leading one of every input, where these are open or 1.",
        examples=["N", {"tokens": 1}, "as-is"],
    )
    importer: str | None = Field(
        None,
        min_length=1,
        description="What reads it: a name, or module:attribute; by default what claims the path's suffix or prefix.",
        examples=["onnx"],
    )
    original: Name | None = Field(
        None,
        description="The model of this study in float32 that this file was quantised from: what accuracy_drop and "
        "agreement compare with.",
    )
