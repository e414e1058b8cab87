"""Whether the files of a model are still those of the study: the ids of its import and of all behind it are theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed
from sweep.study.importers.importer import sha256_of

__all__ = ["unless_changed"]


@contextmanager
def unless_changed(files: Sequence[str], options: Mapping[str, Any]) -> Iterator[None]:
    """Around what reads these files. Raises ImportFailed where they are not what they were when the study was read,
    also in the place of an ImportFailed: half of a file is no network.

    files: in the order in which they were hashed; none are not looked at. options: of the import, with the hash.
    They are hashed behind the reading, so that one that was replaced at any time before is noticed.
    """
    try:
        yield
    except ImportFailed as error:
        _check(files, options, error)
        raise
    _check(files, options, None)


def _check(files: Sequence[str], options: Mapping[str, Any], cause: ImportFailed | None) -> None:
    if not files:
        return
    try:
        found = sha256_of([Path(file) for file in files])
    except OSError as error:
        raise ImportFailed(f"{error.filename or files[0]} cannot be read: {error.strerror}") from error
    if found != options.get("sha256"):
        beside = "" if len(files) == 1 else f", or a file of its {len(files)} is not"
        problem = f"{files[0]} is not what it was when the study was read{beside}"
        raise ImportFailed(f"{problem}: another `sweep run` takes it as it is now") from cause
