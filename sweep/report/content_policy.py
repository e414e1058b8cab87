"""The content security policy of a page: the scripts that it was written with run, and no other; nothing is fetched.

A second wall: names and errors are escaped where they are shown.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

__all__ = ["content_policy"]


def content_policy(scripts: Iterable[str]) -> str:
    """For a meta element before them. `scripts`: the text between the tags of each, as it stands in the page."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(hashes)) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed}",
            "style-src 'unsafe-inline'",  # Plotly makes style elements, and pictures have heights of their own
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
