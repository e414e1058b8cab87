"""The address of a Ray cluster, as a person writes it."""

from __future__ import annotations

import re
from pathlib import Path

from sweep.errors import StudyError

__all__ = ["AUTO", "read_ray_address"]

AUTO = "auto"
"""The cluster that this host is a node of, or that of RAY_ADDRESS."""

_HOST_PORT = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", re.ASCII)


def read_ray_address(text: str, file: Path | str | None, key: str) -> str:
    """The address, checked in its form alone. Raises StudyError."""
    found = _HOST_PORT.fullmatch(text)
    if text != AUTO and (found is None or not 1 <= int(found[2]) <= 65_535):
        allowed = f"{AUTO}, or HOST:PORT of a head node"
        raise StudyError("is no address of a Ray cluster", file=file, key=key, value=text, allowed=allowed)
    return text
