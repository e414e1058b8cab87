"""Files that are not what they should be, and YAML's surprises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.study.gate import load_cluster, load_study
from sweep.study.reading.yaml_file import MAX_BYTES, read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in ["ab", "bc", "cd", "de", "ef", "fg", "gh"]
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new}\n  <<: [{','.join([f'*{old}'] * 10)}]\n" for old, new in ["ab", "bc", "cd", "de", "ef", "fg", "gh"]
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n", "holds a list"),
        (b"study", "holds a single value"),
        (b"study: [", "is not valid YAML"),
        (b"a: b: c", "s.yaml:1: is not valid YAML: mapping values are not allowed in this context (column 5)"),
        (b"\t- a", "is not valid YAML"),
        (b"{a: 1}}", "is not valid YAML"),
        (b"study: \xff\xfe", "is not UTF-8 text (byte 7)"),
        (b"\x00", "control characters are not allowed"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8"),
        (b"study: s\nstudy: t\n", "s.yaml:2: the key 'study' is written twice (first in line 1)"),
        (b"study: s\naxes: {batch: [1], batch: [2]}\n", "s.yaml:2: the key 'batch' is written twice (first in line 2)"),
        (b"1: 2", "s.yaml:1: a key that is not text (got 1)"),
        (b"true: 2", "s.yaml:1: a key that is not text (got true)"),
        (b"? [a]\n: 2", "a key that is not text"),
        (b"a: *b", "undefined alias"),
        (b"a: &a [*a]", "an alias that contains itself"),
        (b"a: b\n---\nc: d\n", "another document"),
        (b"a: !!python/object/apply:os.system [ls]", "a tag that is not known here"),
        (b"a: !!timestamp 2001-99-99", "a tag that is not known here"),
        (b"a: !!binary x", "a tag that is not known here"),
        (b"a: !!float x", "not what its tag says"),
        (b"a: !!bool x", "not what its tag says"),
        (b"a: " + b"9" * 5000, "a number that is too long (5000 digits)"),
        (b"[" * 100_000, "is nested more than 20 deep"),
        (b"a: " + b"{a: " * 1000, "is nested more than 20 deep"),
        (BOMB.encode(), "more than 100,000 values once its aliases are expanded"),
        (MERGE_BOMB.encode(), "more than 100,000 values once its aliases are expanded"),
        (b"a: 1\n" + b"#" * MAX_BYTES, "is too large"),
    ],
)
def test_what_is_no_study_is_said_in_a_line(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    for load in (load_study, load_cluster):
        with pytest.raises(StudyError) as caught:
            load(path)
        line = str(caught.value)
        assert problem in line
        assert re.match(rf"{re.escape(str(path))}(:\d+)?: ", line)
        assert "\n" not in line
        assert len(line) < 400 + len(str(path))


def test_missing_files_and_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nope\.yaml: does not exist; allowed: a study file"):
        load_study(tmp_path / "nope.yaml")
    with pytest.raises(StudyError, match="is a directory; allowed: a cluster file"):
        load_cluster(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="cannot be read: Not a directory"):
        load_study(tmp_path / "file" / "s.yaml")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("n", "n"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("-3", -3),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        ("'7'", "7"),
        ("!!str 7", "7"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(written: str, meant: object, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"a: {written}\n")
    value = read_yaml(path, "file")["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_a_byte_order_mark_and_merge_keys_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: &a {x: 1}\nb: {<<: *a, y: 2}\n")
    assert read_yaml(path, "file") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
