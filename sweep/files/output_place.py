"""Whether a file can be written under a name that a person gave: asked before work of minutes, and not after it."""

from __future__ import annotations

from pathlib import Path

from sweep.errors import StudyError

__all__ = ["require_place"]


def require_place(path: Path, option: str) -> None:
    """Raises StudyError where the name is a folder's, or where its folder is not there."""
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else f"is in a folder that is not there, {path.parent}"
        raise StudyError(problem, key=option, value=str(path), allowed="a file in a folder that is there")
