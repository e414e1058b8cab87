"""The line that a key of an error leads to."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import StudyError
from sweep.study.reading.line_numbers import line_of, with_line

TEXT = """\
# the first mapping begins in line 2
study: s
models:
  - a.onnx
  -
    path: b.onnx
    inputs: {"x.1[0]": [1, 2], x: [1,
      0]}
base: &base {k: 1,
  l: 2}
merged:
  <<: *base
  m: 3
  k: 4
alias: *base
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("study", 2),
        ("models", 3),
        ("models[0]", 4),
        ("models[1]", 6),
        ("models[1].path", 6),
        ("models[1].inputs.x", 7),
        ("models[1].inputs.x[1]", 8),
        ("models[1].inputs.x.1[0][1]", 7),
        ("merged.l", 10),
        ("merged.m", 13),
        ("merged.k", 14),
        ("alias", 15),
        ("alias.l", 10),
        # what is missing belongs to what it is missing in
        ("question", 2),
        ("models[2]", 3),
        ("models[1].name", 6),
        ("merged.n", 11),
        ("study.k", 2),
        ("models.k", 3),
    ],
)
def test_the_line_of_a_key(key: str, line: int) -> None:
    assert line_of(TEXT, key) == line


@pytest.mark.parametrize("text", ["", "- a", "a", "a: [", "a: &a {b: *a}", "a: &a {<<: {<<: *a}}", "\x00"])
def test_a_text_that_is_no_mapping_has_no_line(text: str) -> None:
    assert line_of(text, "a.b") is None


@pytest.mark.parametrize("key", ["--only", "line 7", None])
def test_what_is_no_key_of_the_file_has_no_line(key: str | None, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("only: 1\nline 7: 2\n")
    error = StudyError("is wrong", file=tmp_path / "s.yaml", key=key)
    assert with_line(error) is error


def test_a_file_that_is_gone_has_no_line(tmp_path: Path) -> None:
    error = StudyError("is wrong", file=tmp_path / "s.yaml", key="a")
    assert with_line(error) is error


documents = st.recursive(
    st.integers() | st.text("ab.[] :'\"", max_size=4),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a.b", "a[0]", "b-c"]), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["k", "l", "m_n"]), documents, min_size=1, max_size=3), st.booleans())
def test_each_value_of_a_document_is_found_where_it_stands(document: dict[str, object], flow: bool) -> None:
    """Of every leaf that is written alone in its line, that line; keys that look like paths included."""
    text = yaml.safe_dump(document, default_flow_style=False if not flow else None, sort_keys=False, width=10_000)
    lines = text.splitlines()
    for key, value in leaves("", document):
        found = line_of(text, key)
        assert found is not None
        if isinstance(value, int):
            assert str(value) in lines[found - 1]


def leaves(path: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        if any(other != key and other.startswith((f"{key}.", f"{key}[")) for key in value for other in value):
            return []  # `a.b` beside `a` is told apart by nothing in the path
        steps = [(f"{path}.{key}" if path else str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        steps = [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    else:
        return [(path, value)]
    return [leaf for step, inner in steps for leaf in leaves(step, inner)]
