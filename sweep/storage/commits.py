"""A store's knowledge of a sweep is a chain of commits: each carries lines of the ledger and says where files lie.

A commit is one object, written after all that it names, so that a store is at every moment a sweep that was once so.
The run that writes has an epoch of its own, higher than all before, and its first commit names the one that it goes on
from. What a run that was taken over still writes hangs on no later one, and is not read. Here are no stores: values
alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sweep.errors import LedgerError
from sweep.files.confined import OutsideFolder, relative
from sweep.files.sweep_dir import is_carried

__all__ = ["CONTENTS", "Chain", "Commit", "StoredFile", "key_of", "latest"]

FOLDER = "commits"
CONTENTS = "contents/"
"""Begins the keys of what is kept by its content."""

_KEY = re.compile(rf"{FOLDER}/\d{{6,}}-\d{{8,}}\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the sweep directory, as a store has it."""

    key: str
    sha256: str
    size_bytes: int

    @classmethod
    def read(cls, path: str, about: Mapping[str, Any]) -> StoredFile:
        """As a commit has it. Whoever can write to a store decides what is in it: a file comes from the place of files,
        into the place of files. Raises ValueError, OutsideFolder among them, and TypeError.
        """
        file = cls(**about)
        if not is_carried(path):
            raise OutsideFolder("is no file that a sweep has at a URI")
        if _SHA256.fullmatch(file.sha256) is None:
            raise ValueError("has no SHA-256")
        if type(file.size_bytes) is not int or file.size_bytes < 0:  # a float, from JSON
            raise ValueError("has no size")
        if file.key not in (path, f"{CONTENTS}{file.sha256}"):
            raise OutsideFolder(f"has its content at {file.key!r}, where no file of it can be")
        return file


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a sweep."""

    epoch: int
    number: int
    """In its epoch, from 0."""
    base: str | None
    """Key of the commit before; None for the first of all."""
    lines: bytes
    """Whole lines of the ledger, as they stand there, damaged ones too."""
    files: Mapping[str, StoredFile] = field(default_factory=dict)
    """What is new or changed, by path in the sweep directory."""

    def encode(self) -> bytes:
        """As the object that is stored."""
        return json.dumps({**asdict(self), "lines": self.lines.decode(errors="surrogateescape")}).encode()

    @staticmethod
    def decode(key: str, data: bytes) -> Commit:
        """From a stored object. Raises LedgerError for one that is none, or names what is outside."""
        try:
            read = json.loads(data)
            files = _files(read.pop("files"))
            lines = read.pop("lines").encode(errors="surrogateescape")
            commit = Commit(**read, lines=lines, files=files)
            if type(commit.epoch) is not int or type(commit.number) is not int or min(commit.epoch, commit.number) < 0:
                raise ValueError("its epoch or number is none")
            if commit.base is not None and _KEY.fullmatch(commit.base) is None:
                raise ValueError(f"its base is {commit.base!r}")
            return commit
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise LedgerError(f"{key} is no commit of a sweep: {error}") from error


@dataclass(frozen=True, slots=True)
class Chain:
    """The commits that count, added up."""

    head: str | None = None
    """Key of the last one."""
    epoch: int = 0
    """The highest there is, also of commits that do not count."""
    lines: bytes = b""
    files: Mapping[str, StoredFile] = field(default_factory=dict)


def key_of(epoch: int, number: int) -> str:
    """Sorts as epochs and numbers do."""
    return f"{FOLDER}/{epoch:06d}-{number:08d}.json"


def latest(commits: Mapping[str, Commit]) -> Chain:
    """The chain that ends in the last commit of the highest epoch, from all commits by key.

    Raises:
        LedgerError: one that it needs is not there, or goes on from itself; a file is below another one.
    """
    if not commits:
        return Chain()
    head: str | None = max(commits)
    chain: list[Commit] = []
    at = head
    seen: set[str] = set()
    while at is not None:
        if at not in commits:
            raise LedgerError(f"{at} is not there, and later commits go on from it; restore it from a copy")
        if at in seen:
            raise LedgerError(f"{at} goes on from itself: the commits of this store are a circle; restore a copy")
        seen.add(at)
        chain.append(commits[at])
        at = commits[at].base
    chain.reverse()
    return Chain(
        head=head,
        epoch=max(commit.epoch for commit in commits.values()),
        lines=b"".join(commit.lines for commit in chain),
        files=_added_up(chain),
    )


def _added_up(chain: Iterable[Commit]) -> dict[str, StoredFile]:
    files: dict[str, StoredFile] = {}
    for commit in chain:
        files.update(commit.files)
    for path in files:
        holder = next((above for above in map(str, PurePosixPath(path).parents) if above in files), None)
        if holder is not None:
            raise LedgerError(f"the commits of this store have a file {path!r} below a file {holder!r}")
    return files


def _files(written: Mapping[str, Mapping[str, Any]]) -> dict[str, StoredFile]:
    files = {}
    for path, about in written.items():
        try:
            name = str(relative(path))
            files[name] = StoredFile.read(name, about)
        except (ValueError, TypeError) as error:
            raise ValueError(f"its file {path!r} {error}") from None
    return files
