"""The documents at the root and under docs: links lead somewhere, and the files, tests and modules they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ("README.md", "DESIGN.md", "CHANGELOG.md", "CONTRIBUTING.md", *PAGES)
FOLDERS = ("sweep", "tests", "experiments", "clusters", "docs", "tools", "benchmarks", "notebooks", ".ci")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    text = read(name)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    for target in targets:
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        aim = (ROOT / name).parent / path if path else ROOT / name
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim.read_text(encoding="utf-8")), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    assert PAGES
    assert set(PAGES) <= {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", read("README.md"))}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    named = re.findall(rf"(?:`|\s)((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*)", read(name))
    for path in named:
        assert list(ROOT.glob(path.rstrip("/."))), path
    if name in ("README.md", "DESIGN.md"):
        assert named


def test_each_test_that_the_design_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("DESIGN.md"))
    assert len(named) > 20
    for path, test in named:
        assert f"\ndef {test}(" in read(path), f"{path}::{test}"


def test_every_room_is_in_the_design() -> None:
    named = set(re.findall(r"^\| \d \| `sweep/(\w+)(?:\.py)?` \|", read("DESIGN.md"), re.MULTILINE))
    rooms = [path for path in (ROOT / "sweep").iterdir() if path.suffix in ("", ".py")]
    assert named == {path.stem for path in rooms if not path.name.startswith("_")}
