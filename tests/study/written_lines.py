"""Where a key stands in a text whose values each go on in the line of their key."""

from __future__ import annotations

import re

__all__ = ["line_at"]


def line_at(text: str, key: str) -> int:
    """The line of its first part, from 1; what is missing belongs to the whole, which begins in the first."""
    head = re.match(r"\w+", key)
    assert head is not None
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if line.startswith(f"{head[0]}:")), 1)
