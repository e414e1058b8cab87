"""The whole line that a person reads, for a form of every kind of field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from sweep.errors import StudyError
from sweep.study.gate import study_of
from sweep.study.reading.form import Form
from sweep.study.reading.validation_errors import fill_in
from sweep.study.tuners.own_tuner import TUNERS


class Inner(Form):
    kind: Literal["red", "green", "blue"] = "red"
    size: int = Field(1, ge=1, le=9)


class Shape(Form):
    title: str = Field("", max_length=8, examples=["my net"])
    share: float = Field(0.5, gt=0, le=1)
    above: float = Field(1.0, gt=0)
    least: int = Field(1, ge=1)
    most: int = Field(1, le=4)
    part: float = Field(0.5, ge=0, lt=1)
    is_on: bool = False
    inner: Inner = Inner()
    rows: list[Inner] = Field([], max_length=2)
    table: dict[str, Annotated[int, Field(ge=0)]] = Field({})
    choice: Literal["one"] | int | None = None
    name: str


CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "name: is missing; allowed: text"),
    ({"name": "x", "nmae": 1}, "nmae: is not a key here, did you mean 'name'? (got 1); allowed: title, share, above,"),
    ({"name": None}, "name: has no value; allowed: text"),
    ({"name": 3}, "name: has the wrong type (got 3); allowed: text"),
    (
        {"name": "x", "title": "x" * 9},
        "title: is too long (got 'xxxxxxxxx'); allowed: text, up to 8 characters, such as",
    ),
    ({"name": "x", "share": 0}, "share: is out of range (got 0); allowed: a number above 0 and up to 1"),
    ({"name": "x", "share": 1.5}, "share: is out of range (got 1.5); allowed: a number above 0 and up to 1"),
    ({"name": "x", "share": float("nan")}, "share: is not a finite number (got nan); allowed: a number above 0 and up"),
    ({"name": "x", "above": -1}, "above: is out of range (got -1); allowed: a number above 0"),
    ({"name": "x", "least": 0}, "least: is out of range (got 0); allowed: a whole number from 1"),
    ({"name": "x", "most": 5}, "most: is out of range (got 5); allowed: a whole number up to 4"),
    ({"name": "x", "part": 2}, "part: is out of range (got 2); allowed: a number from 0 and below 1"),
    ({"name": "x", "most": "many"}, "most: has the wrong type (got 'many'); allowed: a whole number up to 4"),
    ({"name": "x", "is_on": "maybe"}, "is_on: has the wrong type (got 'maybe'); allowed: true or false"),
    ({"name": "x", "inner": []}, "inner: has the wrong type (got []); allowed: a mapping with kind, size"),
    (
        {"name": "x", "inner": {"kind": "gren"}},
        "inner.kind: 'gren' is not known here, did you mean 'green'? (got 'gren'); allowed: red, green, blue",
    ),
    ({"name": "x", "inner": {"kind": 7}}, "inner.kind: has the wrong type (got 7); allowed: red, green, blue"),
    (
        {"name": "x", "rows": [{}, {"size": 10}]},
        "rows[1].size: is out of range (got 10); allowed: a whole number from 1 to 9",
    ),
    ({"name": "x", "rows": [{}, {}, {}]}, "rows: is too long (got "),
    ({"name": "x", "rows": {}}, "rows: has the wrong type (got {}); allowed: a list with a mapping with kind, size"),
    ({"name": "x", "table": {"a": -1}}, "table.a: is out of range (got -1); allowed: a whole number from 0"),
    ({"name": "x", "choice": 1.5}, "choice: has the wrong type (and 1 more) (got 1.5); allowed: one or a whole number"),
    (
        {"name": "x", "least": 0, "most": 5},
        "least: is out of range (and 1 more) (got 0); allowed: a whole number from 1",
    ),
]


@pytest.mark.parametrize(("document", "line"), CASES, ids=[line.split(" (got")[0] for _, line in CASES])
def test_the_line(document: dict[str, Any], line: str) -> None:
    with pytest.raises(StudyError) as refused:
        fill_in(Shape, document, Path("study.yaml"))
    said = str(refused.value)
    assert "\n" not in said
    assert said.startswith(f"study.yaml: {line}"), said


def test_what_is_right_is_filled_in() -> None:
    form = fill_in(Shape, {"name": "x", "rows": [{"kind": "blue"}], "table": {"a": 0}}, Path("study.yaml"))
    assert (form.name, form.rows[0].kind, form.rows[0].size, form.table, form.share) == ("x", "blue", 1, {"a": 0}, 0.5)


def test_what_is_registered_later_is_among_what_is_allowed_and_what_is_gone_is_not() -> None:
    """What a form allows is kept from one complaint to the next."""

    def complaint() -> str:
        with pytest.raises(StudyError) as told:
            study_of({"study": "s", "models": ["onnx-light:squeezenet"], "tuners": ["anealing"]}, Path())
        return str(told.value)

    before = complaint()
    assert "annealing" not in before
    with TUNERS.registered("annealing", object):
        assert "did you mean 'annealing'" in complaint()
    assert complaint() == before
