"""What anybody may have written into a JSON file is read as the types that belong there, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.files.typed_json import WrongContent, as_type, fields_of, parsed, read_as


@dataclass(frozen=True)
class Part:
    name: str
    seconds: Sequence[float] = ()


@dataclass(frozen=True)
class Whole:
    count: int
    share: float | None
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] | None = None
    is_done: bool = False


def test_a_dataclass_is_read_and_what_a_newer_version_has_beside_is_left() -> None:
    payload = {"count": 2.0, "parts": [{"name": "a", "seconds": [1, 2.5], "new": {}}], "newer": 1}
    assert read_as(Whole, payload) == Whole(2, None, (Part("a", [1, 2.5]),))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ([], "the content is a list, where an object belongs"),
        ({}, "`count` is missing"),
        ({"count": "2"}, "`count` is '2', where a whole number belongs"),
        ({"count": True}, "`count` is true or false, where a whole number belongs"),
        ({"count": 2.5}, "`count` is 2.5, where a whole number belongs"),
        ({"count": 10**400}, "where a whole number belongs"),
        ({"count": 1, "share": float("inf")}, "`share` is inf, where a number belongs"),
        ({"count": 1, "parts": {}}, "`parts` is an object, where a list belongs"),
        ({"count": 1, "parts": [{"name": None}]}, "`parts.name` is missing"),
        ({"count": 1, "parts": [{"name": "a", "seconds": ["x"]}]}, "`parts.seconds` is 'x', where a number belongs"),
        ({"count": 1, "counts": {"a": []}}, "`counts.a` is a list, where a whole number belongs"),
        ({"count": 1, "is_done": 1}, "`is_done` is 1, where true or false belongs"),
        ({"count": 1, "parts": [{"name": "\ud800"}]}, "where Unicode text belongs"),
    ],
)
def test_a_wrong_type_is_refused_by_name(payload: Any, said: str) -> None:
    with pytest.raises(WrongContent) as caught:
        read_as(Whole, payload)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b"[" + b"[]," * 4_000_001 + b"0]", "more than 4,000,000 lists and objects"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"9" * 10_000, "is not JSON"),
        (b"", "is not JSON"),
    ],
    ids=["objects", "lists", "many", "bytes", "digits", "nothing"],
)
def test_a_text_that_would_take_too_much_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(WrongContent, match=said):
        parsed(text)
    with pytest.raises(WrongContent, match="is longer than 0 MiB"):
        parsed(b"[1, 2]", most_bytes=5)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["count", "name", "x"]), inner),
    max_leaves=8,
)


@given(_VALUES, st.sampled_from([Whole, Part, int, float, str, tuple[str, int], Mapping[str, float], list[bool]]))
def test_any_value_is_taken_or_refused(value: Any, hint: Any) -> None:
    with suppress(WrongContent):
        as_type(hint, value, "key")  # any other error would be a traceback


def test_keys_that_may_be_missing() -> None:
    reader = fields_of(stage=str, reason=str | None)
    assert reader.of({"stage": "a", "reason": None}) == {"stage": "a"}
    with pytest.raises(WrongContent, match="`stage` is missing"):
        reader.of({"reason": "b"})
