"""One text for one content, or an error."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import PlanError
from sweep.planning.fingerprint import canonical_json, fingerprint

CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
).filter(lambda value: "-0.0" not in repr(value))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        -0.0,
        {1: "a"},
        {None: "a"},
        {("a",): 1},
        {"a", "b"},
        frozenset(),
        b"bytes",
        Path("a"),
        object(),
        1 + 2j,
        "\ud800",
        {"deep": [{"er": {1, 2}}]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_single_text_is_refused(value: object) -> None:
    with pytest.raises(PlanError, match="cannot be hashed"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, 1.5]}, '{"a":[true,null,1.5],"b":1}'),
        ((1, 2), "[1,2]"),
        (2.0, "2"),
        (0.0, "0"),
        (1e-3, "0.001"),
        (1e300, "1e+300"),
        ("é\n", '"\\u00e9\\n"'),
        (MappingProxyType({"x": 1}), '{"x":1}'),
    ],
)
def test_the_text(value: object, text: str) -> None:
    assert canonical_json(value) == text


def test_true_is_not_one_and_text_is_not_a_number() -> None:
    assert len({fingerprint(value) for value in (True, 1, "1", "true", None, "null", [1], {"1": 1})}) == 8


@given(CONTENT)
def test_the_text_is_json_of_the_same_content(value: object) -> None:
    assert json.loads(canonical_json(value)) == value
    assert len(fingerprint(value)) == 16


@given(st.dictionaries(st.text(), CONTENT, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, object], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert fingerprint(dict(items)) == fingerprint(value)
