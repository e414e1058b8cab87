"""The page by error class: every class is there, and no other."""

from __future__ import annotations

import re
from inspect import isclass
from pathlib import Path

import pytest

from sweep import errors
from tests.cli.conftest import Sweep

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()


def test_every_class_has_its_part_and_there_is_no_other() -> None:
    classes = [name for name in errors.__all__ if isclass(getattr(errors, name))]
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(classes)


def test_every_part_says_more_than_a_name() -> None:
    for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        assert len(text.split()) >= 8, name


def test_what_it_quotes_is_what_the_program_says() -> None:
    program = " ".join(path.read_text() for path in (ROOT / "sweep").rglob("*.py"))
    said = program + re.sub(r"\{[^{}]*\}", "...", re.sub(r'"\s*f?"', "", program))
    quoted = [" ".join(phrase.split()) for phrase in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", PAGE)]
    assert len(quoted) > 30
    parts = [part.strip(" ;:") for phrase in quoted for part in re.split(r"\.\.\.|SIG\w+", phrase)]
    assert [part for part in parts if part not in said] == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("plan absent.yaml -c cluster.yaml", "StudyError"),
        ("status .", "LedgerError"),
        ("run study.yaml -c cluster.yaml --only model=x", "StudyError"),
    ],
)
def test_the_terminal_names_the_class(line: str, name: str, here: Path, sweep: Sweep) -> None:
    assert sweep(*line.split()).err.startswith(f"sweep: {name}: ")
