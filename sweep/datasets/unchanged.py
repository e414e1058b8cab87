"""Whether the files of a data set are those that its study was read with: what is measured with them says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.study.datasets import content_of, pictures_in

__all__ = ["check_unchanged"]

_KEPT = 16
"""Data sets whose hashes a process keeps for as long as size and time of no file change."""


def check_unchanged(options: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Raises StudyError where a file is not what it was, or cannot be read."""
    key, value = next(iter(files.items()), ("", ""))
    try:
        found = _content(tuple(files.items()), tuple(_signs(files)))
    except OSError as error:
        raise StudyError(f"cannot be read: {error.strerror}", key=key, value=str(error.filename or value)) from None
    if any(options.get(name) != content for name, content in found.items()):
        problem = "is not what it was when the study was read"
        raise StudyError(problem, key=key, value=value, allowed="the same files; another `sweep run` takes these")


def _signs(files: Mapping[str, str]) -> Iterator[tuple[str, int, int, int]]:
    for path in map(Path, files.values()):
        for one in pictures_in(path) if path.is_dir() else [path]:
            about = one.stat()
            yield str(one), about.st_size, about.st_mtime_ns, about.st_ino


@lru_cache(_KEPT)
def _content(files: tuple[tuple[str, str], ...], signs: tuple[tuple[str, int, int, int], ...]) -> dict[str, str]:
    return content_of(dict(files))
