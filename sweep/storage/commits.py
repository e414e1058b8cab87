"""A store's knowledge of a sweep is a chain of commits: each carries lines of the ledger and says where files lie.

A commit is one object, written after all that it names, so that a store is at every moment a sweep that was once so.
The run that writes has an epoch of its own, higher than all before, and its first commit names the one that it goes on
from. What a run that was taken over still writes hangs on no later one, and is not read. Here are no stores: values
alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from sweep.errors import LedgerError

__all__ = ["Chain", "Commit", "StoredFile", "key_of", "latest"]

FOLDER = "commits"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the sweep directory, as a store has it."""

    key: str
    sha256: str
    size_bytes: int


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
        """From a stored object. Raises LedgerError for one that is none."""
        try:
            read = json.loads(data)
            files = {path: StoredFile(**about) for path, about in read.pop("files").items()}
            lines = read.pop("lines").encode(errors="surrogateescape")
            return Commit(**read, lines=lines, files=files)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
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
        LedgerError: one that it needs is not there.
    """
    if not commits:
        return Chain()
    head: str | None = max(commits)
    chain: list[Commit] = []
    at = head
    while at is not None:
        if at not in commits:
            raise LedgerError(f"{at} is not there, and later commits go on from it; restore it from a copy")
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
    return files
