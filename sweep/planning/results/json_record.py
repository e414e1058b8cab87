"""Frozen dataclasses that are written to JSON and read back, also from older and newer versions of this program.

The fields of a record are the keys of its JSON object, units included. Reading ignores keys that it does not know and
gives a field its default where the key is missing or null. A value of another type than the field's is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self, get_type_hints

from sweep.files.typed_json import Convert, WrongContent, as_type, converter

__all__ = ["JsonRecord", "many", "seldom"]

_OF, _SELDOM = "of", "seldom"


def many(of: type[JsonRecord], *, is_seldom: bool = False) -> Any:
    """A field that holds a tuple of such records; none by default. `is_seldom`: as `seldom` says."""
    return field(default=(), metadata={_OF: of, _SELDOM: is_seldom})


def seldom(default: Any = None, *, kw_only: bool = False) -> Any:
    """A field that is left out of the JSON while it has its default: not every result of the kind has the key."""
    return field(default=default, kw_only=kw_only, metadata={_SELDOM: True})


class _Entry(NamedTuple):
    name: str
    of: type[JsonRecord] | None
    default: Any
    is_seldom: bool
    convert: Convert


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """A value with a JSON form. Every field of a subclass has a default, which stands for what nobody has told."""

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        """The record of a JSON object. Raises WrongContent where a field is of another type."""
        values = {}
        for name, of, _, _, convert in _entries(cls):
            value = payload.get(name)
            if value is None:
                continue
            try:
                value = convert(value, name) if of is None else as_type(list, value, name)
                if of is not None:
                    value = [of._of(item) for item in value]
                values[name] = tuple(value) if type(value) is list else value
            except WrongContent as error:
                raise error if of is None else WrongContent(f"in `{name}`: {error}") from None
        return cls(**values)

    @classmethod
    def _of(cls, payload: Any) -> Self:
        """The record of an item of a list, of which nobody knows whether it is an object."""
        return cls.from_json(as_type(Mapping[str, Any], payload))

    @classmethod
    def unknown_keys(cls, payload: Mapping[str, Any]) -> list[str]:
        """Keys that reading would ignore."""
        return sorted(payload.keys() - {entry.name for entry in _entries(cls)})

    def to_json(self) -> dict[str, Any]:
        """The JSON object of this record; `from_json` reads it back equal."""
        payload = {}
        for name, of, default, is_seldom, _ in _entries(type(self)):
            value = getattr(self, name)
            if is_seldom and value == default:
                continue
            if of is not None:
                value = [item.to_json() for item in value]
            elif type(value) is tuple:
                value = list(value)
            payload[name] = value
        return payload


def _entries(record: type[JsonRecord]) -> tuple[_Entry, ...]:
    if record not in _known:
        hints = _hints(record)
        _known[record] = tuple(
            _Entry(
                each.name,
                each.metadata.get(_OF),
                each.default,
                each.metadata.get(_SELDOM, False),
                converter(hints.get(each.name, Any)),
            )
            for each in fields(record)
        )
    return _known[record]


def _hints(record: type[JsonRecord]) -> dict[str, Any]:
    try:
        return get_type_hints(record, include_extras=True)
    except NameError:  # a package's own record, with types that it imports for a type checker alone
        return {}


_known: dict[type, tuple[_Entry, ...]] = {}
"""To look at the fields of a class takes ten times as long as to read a record of it."""
