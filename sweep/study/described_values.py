"""What a study says of values by writing them, as JSON, and read again: a sweep goes on where its study file is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sweep.study.axes import all_axes
from sweep.study.axis import DescribedValues

__all__ = ["as_json", "from_json"]


def as_json(described: DescribedValues) -> dict[str, dict[str, Any]]:
    """By axis and name."""
    axes = {axis.name: axis.described for axis in all_axes() if axis.described is not None}
    return {
        name: {value: how.write(value, kept) for value, kept in described[name].items()}
        for name, how in axes.items()
        if described.get(name)
    }


def from_json(written: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What `as_json` gave; what only another installation knows is left out."""
    found: dict[str, dict[str, Any]] = {}
    for axis in all_axes():
        how, values = axis.described, written.get(axis.name)
        if how is None or not isinstance(values, Mapping):
            continue
        for name, value in values.items():
            try:
                form = value if how.form is None else how.form.model_validate(value)
            except ValidationError:
                continue
            found.setdefault(axis.name, {})[name] = how.read(form)
    return found
