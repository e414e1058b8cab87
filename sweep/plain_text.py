"""Makes what others have named or said show as text, wherever it is shown: terminal, page, Markdown, CSV.

A name in a study, the name of a node in a network or an error may hold what a terminal takes for a command, a browser
for markup, and a table program for a formula. Values in, values out.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["as_csv_cell", "as_label", "as_markdown", "visible", "web_address"]

_UNSEEN = re.compile(
    # C0 but tab and line break, delete, C1; marks of direction, which turn words around; what has no width; lone
    # surrogates, of which names of files that are no Unicode are made; tags
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    r"\U000e0000-\U000e007f]"
)
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~&$]")
_LINE_START = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$)))?([-+.)](?=\s|$)|[-=](?=[-=\s]*$))")
"""Of a list, numbered or not; of what makes a heading of the line before it."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the first ones' wide forms, which some table programs take for them."""
_ADDRESS = re.compile(r"https?://[^\s\"'<>`]+", re.IGNORECASE)


def visible(text: str) -> str:
    r"""Text with what cannot be seen written out, an escape as \x1b. Tabs and line breaks stay."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def as_markdown(text: str, *, is_cell: bool = False) -> str:
    """A line that Markdown shows as it is. `is_cell`: of a table, where nothing begins a list."""
    line = _MARKDOWN.sub(lambda found: f"\\{found[0]}", visible(" ".join(text.split())))
    return line if is_cell else _LINE_START.sub(lambda found: f"{found[1] or ''}\\{found[2]}", line)


def as_csv_cell(value: Any) -> Any:
    """A value for a CSV file. A text that a table program would take for a formula gets a quote before it."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def as_label(text: str) -> str:
    """For Plotly, which takes some HTML for markup, links among it."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def web_address(text: str) -> str:
    """The text, if it is an address of http or https that can be followed; else nothing."""
    return text if _ADDRESS.fullmatch(text) and visible(text) == text else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
