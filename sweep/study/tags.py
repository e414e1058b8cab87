"""Tags of a study and of some of its cells: a person's own words for finding them again. They change no id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from sweep.study.reading.form import refuse

__all__ = ["TagTexts", "Tags"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_RESERVED = ("sweep.", "mlflow.")
_LONGEST = 500
"""Characters of a text: MLflow's lists show some 30 of them."""


class _Valued(Protocol):
    """A cell, as far as rules know one."""

    def value(self, axis: str) -> Any:
        """On an axis."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What a study file says in `tags` and `cell_tags`."""

    study: Mapping[str, str] = field(default_factory=dict)
    """Of the study, and so of each of its cells."""
    rules: tuple[tuple[Mapping[str, tuple[Any, ...]], Mapping[str, str]], ...] = ()
    """Of the cells that a rule matches; a later rule's text replaces an earlier one's."""

    def own(self, cell: _Valued) -> dict[str, str]:
        """Those of a cell that its study does not give it."""
        found: dict[str, str] = {}
        for rule, tags in self.rules:
            if all(cell.value(axis) in values for axis, values in rule.items()):
                found |= tags
        return found


def _checked(value: Any) -> Any:
    if value is None:
        return {}  # `tags:` with every line under it commented out
    if not isinstance(value, dict):
        return value
    for name, text in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            allowed = "letters, digits and . _ -, up to 80"
            raise refuse("is not a name for a tag", allowed=allowed, key=str(name), value=text)
        if name.startswith(_RESERVED):
            raise refuse("is a name of sweep's or MLflow's own", allowed="another name", key=name, value=text)
        if not isinstance(text, str) or len(text) > _LONGEST:
            allowed = f"text, up to {_LONGEST} characters; a number or a date in quotes"
            raise refuse("is not a text for a tag", allowed=allowed, key=name, value=text)
    return value


TagTexts = Annotated[
    dict[str, str],
    BeforeValidator(_checked),
    Field(description="By name; in MLflow, tables and report.", examples=[{"team": "vision"}]),
]
"""Tags as a person writes them."""
