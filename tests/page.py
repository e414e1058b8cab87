"""The README taken apart: its code blocks and its tables."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["README", "ROOT", "blocks", "code", "table"]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def table(first_heading: str, number: int = 0) -> list[list[str]]:
    """Cells of the `number`-th table whose first column is called so, without its heading."""
    found = re.findall(rf"^\| {re.escape(first_heading)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", README, re.MULTILINE)
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in found[number].splitlines()]


def code(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)
