"""What a study file may say of an axis, as types for pydantic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sweep.study.axis import Axis
from sweep.study.reading.form import Form, Name, OneOrMany

__all__ = ["choice_of", "list_of", "text_or_mapping"]


def text_or_mapping(value: object) -> str | None:
    """The tag of what a person writes as a name, or as a mapping with options."""
    return "text" if isinstance(value, str) else "mapping" if isinstance(value, (dict, Form)) else None


def list_of(axis: Axis) -> tuple[Any, Any]:
    """The field of a form for an axis' values."""
    values: Any = list[_entry_of(axis)]  # type: ignore[misc]
    return values, Field([axis.default], min_length=1, description=axis.about or axis.meaning)


def choice_of(axis: Axis) -> Any:
    """The type of what a rule says of an axis."""
    is_named = axis.described is not None and axis.described.form is not None
    value: Any = Name if is_named else _value_of(axis)  # names of a study's own: see `gate`
    values: Any = OneOrMany[value]  # type: ignore[misc]
    return values | None


def _entry_of(axis: Axis) -> Any:
    """The type of one value in the list of a study, for pydantic."""
    if axis.described is None or axis.described.form is None:
        return _value_of(axis)
    name, form = Annotated[_value_of(axis), Tag("text")], Annotated[axis.described.form, Tag("mapping")]
    return Annotated[name | form, Discriminator(text_or_mapping)]


def _value_of(axis: Axis) -> Any:
    """The type of one name or number."""
    if axis.choices:
        return Literal[axis.choices]
    return str if axis.type == "text" else Annotated[int, Field(ge=axis.least, le=axis.most)]
