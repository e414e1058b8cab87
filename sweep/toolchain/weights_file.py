"""The weights of a network in one file, named by the hash of its content, which the results of many stages share.

A model is imported once for each batch size, and lowered once for each opt level: what they have in common is most of
their size. So each stage puts its weights into such a file in its own folder, as a hard link to that of a sibling
which has the same. A folder is whole by itself, whatever becomes of the others. Where the file system has no hard
links, it is a copy.

Nobody may write into such a file: it is read-only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.files.atomic import replacing
from sweep.files.sweep_dir import weights_name

__all__ = ["ALIGNMENT_BYTES", "SMALLEST_BYTES", "Span", "WeightsFile", "link_or_copy", "read_array"]

ALIGNMENT_BYTES = 64
"""Each tensor begins at a multiple: as far apart as a vector register or a cache line needs."""

SMALLEST_BYTES = 1024
"""What is smaller stays where it is used: its shape or its value may depend on the batch, and a link gains nothing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a tensor lies in a file of weights."""

    offset_bytes: int
    size_bytes: int


@dataclass(slots=True)
class WeightsFile:
    """Collects tensors, each content once, and writes them."""

    _spans: dict[str, Span] = field(default_factory=dict)
    """By the hash of the content."""
    _parts: list[bytes] = field(default_factory=list)
    _end_bytes: int = 0
    _digest: str = ""
    _name: str = ""

    def put(self, data: bytes) -> Span:
        """Add the content of a tensor, little-endian as it lies in memory, unless it is there already."""
        digest = digest_of(data)
        if digest not in self._spans:
            if self._name:
                raise ValueError("the file is written")
            gap = -self._end_bytes % ALIGNMENT_BYTES
            self._parts += [bytes(gap), data]
            self._spans[digest] = Span(self._end_bytes + gap, len(data))
            self._end_bytes += gap + len(data)
        return self._spans[digest]

    @property
    def spans(self) -> Mapping[str, Span]:
        """All tensors by the hash of their content."""
        return self._spans

    def write(self, folder: Path) -> str:
        """Put the file into `folder`, as a link to the same file in a folder beside it where there is one.

        Returns its name; nothing more can be added. Two writers at once do no harm: each has the whole content.
        """
        if not self._name:
            whole = hashlib.sha256()
            for part in self._parts:
                whole.update(part)
            self._digest = whole.hexdigest()
            self._name = weights_name(self._digest)
        target = folder / self._name
        if not target.exists() and not self._is_linked(target):
            with replacing(target, is_synced=True) as partial:  # synced: others are going to rely on it
                self._write(partial)
                if self._twins(folder):  # another writer was at it at the same time
                    partial.unlink()
                    if not self._is_linked(partial):
                        self._write(partial)
        return self._name

    def _write(self, path: Path) -> None:
        with path.open("wb") as stream:
            stream.writelines(self._parts)
        path.chmod(0o444)

    def _is_linked(self, target: Path) -> bool:
        """Make `target` a further name of a file of this content, if there is one."""
        return any(_link(twin, target) for twin in self._twins(target.parent))

    def _twins(self, folder: Path) -> list[Path]:
        """Files of this content in folders beside this one, also in those that are in the making.

        Their content is read, at 1 GB/s: a file that a disk has damaged would damage all that link to it.
        """
        others = (path for path in folder.parent.glob(f"*/{self._name}") if path.parent != folder)
        return [path for path in others if _digest_of_file(path) == self._digest]


def digest_of(data: bytes) -> str:
    """Of a tensor's content."""
    return hashlib.sha256(data).hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """The same file in another folder; a copy where the file system has no hard links."""
    if not _link(source, target):
        shutil.copyfile(source, target)


def read_array(path: Path, offset_bytes: int, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """A tensor of a file, mapped and not read."""
    return np.memmap(path, dtype=np.dtype(dtype), mode="r", offset=offset_bytes, shape=shape)


def _digest_of_file(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:  # gone meanwhile, or not readable: no file to link to
        return None


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # no links on this file system, too many of this file, or it is gone
        return False
    return True
