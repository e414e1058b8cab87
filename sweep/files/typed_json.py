"""JSON from a file that anybody may have written or damaged: bounded in size and depth, and of the types that belong.

What does not fit raises WrongContent, a ValueError, with the key, what is there and what belongs there; whoever opens
the file adds its name and what to do. Unknown keys are ignored, since a newer version may have written them.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = [
    "Convert",
    "Fields",
    "PositiveFloat",
    "WrongContent",
    "as_type",
    "converter",
    "fields_of",
    "parsed",
    "read_as",
]

T = TypeVar("T")
Convert = Callable[[Any, str], Any]

_MOST_BYTES = 256 << 20
"""A plan of 100,000 cells takes 90 MB."""
_MOST_CONTAINERS = 4_000_000
"""Lists and objects: three bytes of text may become one of 64 bytes, so that the size alone bounds no memory."""
_MOST = 2**63


class WrongContent(ValueError):
    """What a file holds is not what belongs there, in one line without the file's name."""


def parsed(data: bytes | str, *, most_bytes: int = _MOST_BYTES) -> Any:
    """The value of a JSON text. Raises WrongContent, also for one that would take more memory than it may."""
    if len(data) > most_bytes:
        raise WrongContent(f"is longer than {most_bytes >> 20} MiB")
    braces = data.count(b"{") + data.count(b"[") if isinstance(data, bytes) else data.count("{") + data.count("[")
    if braces > _MOST_CONTAINERS:
        raise WrongContent(f"has more than {_MOST_CONTAINERS:,} lists and objects")
    try:
        return json.loads(data)
    except RecursionError:
        raise WrongContent("is nested too deep") from None
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        raise WrongContent(f"is not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of an object that a reader uses, with what converts the value of each."""

    converters: Mapping[str, Convert]
    required: frozenset[str]
    nulls: Mapping[str, None] = field(default_factory=dict)
    """What a dataclass is given for a key without a default that may be null, and is missing."""

    def of(self, payload: Any, where: str = "") -> dict[str, Any]:
        """Their values; a key that may be missing and is missing, or null, is not among them. Raises WrongContent."""
        if not isinstance(payload, Mapping):
            raise _wrong(where, payload, "an object")
        values = {}
        for name, convert in self.converters.items():
            value = payload.get(name)
            if value is not None:
                values[name] = convert(value, f"{where}.{name}" if where else name)
            elif name in self.required:
                raise WrongContent(f"{_shown(f'{where}.{name}' if where else name)} is missing")
        return values


def fields_of(**hints: Any) -> Fields:
    """Of keys with their types; one whose type allows None may be missing."""
    required = frozenset(name for name, hint in hints.items() if type(None) not in get_args(hint))
    return Fields({name: converter(hint) for name, hint in hints.items()}, required)


def as_type(hint: Any, value: Any, where: str = "") -> Any:
    """A value, if it is of a type (as an annotation says it). Raises WrongContent."""
    return converter(hint)(value, where)


def read_as(record: type[T], payload: Any, where: str = "") -> T:
    """A dataclass of a JSON object. Raises WrongContent where a field is of another type, or lacks and has no default.

    Null is taken for a missing key where the field has a default.
    """
    reader = _reader_of(record)
    return record(**{**reader.nulls, **reader.of(payload, where)})


def _reader_of(record: Any) -> Fields:
    if record in _readers:
        return _readers[record]
    hints = get_type_hints(record, include_extras=True)
    known = [each for each in fields(record) if each.init]
    bare = [each.name for each in known if each.default is MISSING and each.default_factory is MISSING]
    nulls = dict.fromkeys(name for name in bare if type(None) in get_args(hints[name]))
    required = frozenset(bare).difference(nulls)
    _readers[record] = Fields({each.name: converter(hints[each.name]) for each in known}, required, nulls)
    return _readers[record]


_readers: dict[Any, Fields] = {}


@cache
def converter(hint: Any) -> Convert:
    """What makes a value of this type of one that JSON gives, or raises WrongContent."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of([converter(each) for each in inner if each is not type(None)], type(None) in inner)
    if origin is tuple and inner[-1:] != (...,):
        return _tuple_of([converter(each) for each in inner])
    if isinstance(origin or hint, type) and issubclass(origin or hint, (list, tuple, Sequence)):
        makes = tuple if origin is tuple or hint is tuple else list
        return _list_of(converter(inner[0]) if inner else _anything, makes)
    if isinstance(origin or hint, type) and issubclass(origin or hint, Mapping):
        return _mapping_of(converter(inner[1]) if inner else _anything)
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value, where: read_as(hint, value, where)
    return _anything


def _anything(value: Any, where: str) -> Any:
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _wrong(where, value, "Unicode text")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, value, "true or false")
    return value


def _whole(value: Any, where: str) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not -_MOST <= value < _MOST:
        raise _wrong(where, value, "a whole number")
    return value


def _number(value: Any, where: str) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is not int or not -_MOST <= value < _MOST:
        raise _wrong(where, value, "a number")
    return value


def _positive(value: Any, where: str) -> float:
    if not 0 < _number(value, where) < _MOST:
        raise _wrong(where, value, "a positive number")
    return float(value)


PositiveFloat = Annotated[float, "positive"]
"""Seconds that something took."""
_PLAIN: dict[Any, Convert] = {
    Any: _anything, object: _anything, str: _text, bool: _flag, int: _whole, float: _number, PositiveFloat: _positive,
}  # fmt: skip


def _any_of(converters: Sequence[Convert], has_none: bool) -> Convert:
    def convert(value: Any, where: str) -> Any:
        if value is None and has_none:
            return None
        for each in converters[:-1]:
            try:
                return each(value, where)
            except WrongContent:
                continue
        return converters[-1](value, where)

    return convert


def _list_of(of: Convert, makes: type[list[Any]] | type[tuple[Any, ...]]) -> Convert:
    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong(where, value, "a list")
        return makes(value if of is _anything else [of(item, where) for item in value])

    return convert


def _tuple_of(converters: Sequence[Convert]) -> Convert:
    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(converters):
            raise _wrong(where, value, f"a list of {len(converters)}")
        return tuple([each(item, where) for each, item in zip(converters, value, strict=True)])

    return convert


def _mapping_of(of: Convert) -> Convert:
    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "an object")
        if of is _anything:
            return value
        return {key: of(inner, f"{where}.{key}") for key, inner in value.items()}

    return convert


_NAMES = {
    dict: "an object", list: "a list", tuple: "a list", str: "text", bool: "true or false", type(None): "null",
}  # fmt: skip


def _wrong(where: str, value: Any, wanted: str) -> WrongContent:
    there = _NAMES.get(type(value))
    if there in (None, "text", wanted):
        try:
            text = repr(value)
        except ValueError:  # an integer of thousands of digits
            text = "a number of thousands of digits"
        there = text if len(text) <= 40 else f"{text[:20]}...{text[-17:]}"
    return WrongContent(f"{_shown(where)} is {there}, where {wanted} belongs")


def _shown(where: str) -> str:
    return f"`{where[:80]}`" if where else "the content"
