"""The documents at the root and under docs: their links work, and the files, tests and modules that they name exist."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
DECISIONS = [page for page in PAGES if re.match(r"docs/decisions/\d", page)]
DOCUMENTS = ("README.md", "DESIGN.md", "CHANGELOG.md", "CONTRIBUTING.md", *PAGES)
FOLDERS = ("sweep", "tests", "experiments", "clusters", "docs", "tools", "benchmarks", "notebooks", ".ci")


@cache
def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def sources() -> str:
    """All of the package."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sweep").rglob("*.py"))


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def defines(dotted: str) -> bool:
    """Whether there is such a module, or a module that has such a name. Nothing is imported: it may be heavy."""
    path = ROOT / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    home = path.parent / "__init__.py" if path.parent.is_dir() else path.parent.with_suffix(".py")
    return home.is_file() and re.search(rf"\b{path.name}\b", home.read_text(encoding="utf-8")) is not None


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
    reached, ahead = set(), ["README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        aims = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+\.md(?:#[^)\s]*)?)\)", read(page))}
        inside = {os.path.normpath(Path(page).parent / aim) for aim in aims if not aim.startswith("https://")}
        ahead.extend(inside - reached)
    assert set(PAGES) <= reached


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    named = re.findall(rf"(?:`|\s)((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*)", read(name))
    for path in named:
        assert list(ROOT.glob(path.rstrip("/."))), path
    if name in ("README.md", "DESIGN.md"):
        assert named


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])  # which tells of the past
def test_modules_that_are_named_exist(name: str) -> None:
    for dotted in re.findall(r"`(sweep(?:\.\w+)+)`", read(name)):
        is_a_tag_or_an_entry_point = f'"{dotted}"' in sources()
        assert is_a_tag_or_an_entry_point or defines(dotted), dotted


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_test_that_is_named_exists(name: str) -> None:
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read(name)):
        assert f"\ndef {test}(" in read(path), f"{path}::{test}"


def test_the_design_is_short() -> None:
    assert len(read("DESIGN.md").splitlines()) <= 200


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_has_its_parts_and_a_test_that_guards_it(name: str) -> None:
    text = read(name)
    number = Path(name).name.partition("-")[0]
    assert text.startswith(f"# {number}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [part for part in headings if part != "Measured"] == ["Context", "Decision", "Consequences", "Guarded by"]
    assert re.findall(r"^- `tests/[\w/]+\.py::test_\w+`$", text.partition("## Guarded by")[2], re.MULTILINE)


def test_decisions_are_numbered_without_a_gap_and_the_index_has_the_title_of_each() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", read("docs/decisions/README.md"), re.MULTILINE)
    assert [number for number, *_ in rows] == [f"{place:04}" for place in range(1, len(DECISIONS) + 1)]
    titles = {Path(name).name: read(name).splitlines()[0].partition(". ")[2] for name in DECISIONS}
    assert {file: title for _, file, title in rows} == titles


def test_each_defect_of_tvm_names_the_test_that_guards_its_workaround() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", read("docs/tvm-defects.md"), re.MULTILINE)
    assert len(rows) > 30
    assert [defect for defect, _, guards in rows[1:] if "::test_" not in guards] == []


def test_every_room_is_in_the_design() -> None:
    named = set(re.findall(r"^\| \d \| `sweep/(\w+)(?:\.py)?` \|", read("DESIGN.md"), re.MULTILINE))
    rooms = [path for path in (ROOT / "sweep").iterdir() if path.suffix in ("", ".py")]
    assert named == {path.stem for path in rooms if not path.name.startswith("_")}
