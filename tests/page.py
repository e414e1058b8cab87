"""The README and the pages under docs taken apart: their code blocks and their tables."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PAGES", "README", "ROOT", "blocks", "code", "prose", "table"]

ROOT = Path(__file__).parents[1]
README = "README.md"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / README, *sorted((ROOT / "docs").glob("*.md")))
}
"""Text by path, the README first."""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, of all pages."""
    found = (re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for text in PAGES.values())
    return [block for each in found for block in each]


def table(first_heading: str, number: int = 0, page: str = README) -> list[list[str]]:
    """Cells of the `number`-th table of a page whose first column is called so, without its heading."""
    pattern = rf"^\| {re.escape(first_heading)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)"
    found = re.findall(pattern, PAGES[page], re.MULTILINE)
    return [
        [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row[1:-1])]
        for row in found[number].splitlines()
    ]


def code(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def prose() -> str:
    """All pages without their fenced blocks."""
    return re.sub(r"^```.*?^```$", "", "\n".join(PAGES.values()), flags=re.MULTILINE | re.DOTALL)
