"""The place behind a URI: objects by key, each there whole or not at all.

Of `file://` each is synced to the disk and renamed into place; an object store does that itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from sweep.errors import RecordError, StudyError, in_one_line
from sweep.files.atomic import replacing
from sweep.redaction import redacted_about, redacted_uri

__all__ = ["Found", "Store"]

_CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a store, as a listing shows it."""

    key: str
    changed_t: float
    """By the store's own clock, in Unix seconds."""


class Store:
    """One prefix of one store. Thread-safe."""

    def __init__(self, uri: str) -> None:
        """Raises StudyError for a URI that cannot be one."""
        self._uri = uri
        self.name = redacted_uri(uri).partition("?")[0]
        try:
            self._fs, base = fs.FileSystem.from_uri(uri)
            self._base = base.rstrip("/")
            if not self._base:
                raise ValueError("it names no folder")
        except (pa.ArrowException, ValueError, TypeError, OSError) as error:
            allowed = "a folder, or a URI: file:///..., s3://..., gs://..., abfs://..., hdfs://..."
            raise StudyError(
                f"is no place: {self._said(error)}", key="--out", value=self.name, allowed=allowed
            ) from error
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)

    def put(self, key: str, data: bytes) -> None:
        """Write an object. Raises RecordError."""
        with self._translated(), self._writing(key) as stream:
            stream.write(data)

    def send(self, key: str, path: Path) -> None:
        """Write an object from a file. Raises RecordError."""
        with path.open("rb") as file, self._translated(), self._writing(key) as stream:
            while chunk := file.read(_CHUNK_BYTES):
                stream.write(chunk)

    def get(self, key: str) -> bytes | None:
        """An object; None where there is none. Raises RecordError."""
        with self._translated():
            try:
                with self._fs.open_input_stream(self._path(key)) as stream:
                    data: bytes = stream.read()
                    return data
            except FileNotFoundError:
                return None

    def fetch(self, key: str, path: Path, size_bytes: int) -> bool:
        """Read an object into a file; False where there is none, or more in it than is expected. Raises RecordError."""
        with self._translated():
            if self._fs.get_file_info(self._path(key)).type != fs.FileType.File:  # a pipe has no end
                return False
            try:
                with self._fs.open_input_stream(self._path(key)) as stream, path.open("wb") as file:
                    while chunk := stream.read(_CHUNK_BYTES):
                        size_bytes -= len(chunk)
                        if size_bytes < 0:
                            return False
                        file.write(chunk)
            except FileNotFoundError:
                return False
        return True

    def below(self, prefix: str) -> list[Found]:
        """The objects whose keys begin with `prefix/`, by key. Raises RecordError."""
        selector = fs.FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
        with self._translated():
            infos = self._fs.get_file_info(selector)
        return sorted(
            (
                Found(os.path.relpath(info.path, self._base), info.mtime.timestamp())
                for info in infos
                if info.type == fs.FileType.File and not info.base_name.startswith(".")
            ),
            key=lambda found: found.key,
        )

    def remove(self, key: str) -> None:
        """Remove an object, if it is there. Raises RecordError."""
        with self._translated():
            try:
                self._fs.delete_file(self._path(key))
            except FileNotFoundError:
                return

    def _path(self, key: str) -> str:
        return f"{self._base}/{key}"

    @contextmanager
    def _writing(self, key: str) -> Iterator[Any]:
        if not self._is_local:
            with self._fs.open_output_stream(self._path(key)) as stream:
                yield stream
            return
        path = Path(self._path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, is_synced=True) as partial, partial.open("wb") as file:
            yield file

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise RecordError(f"{self.name}: {self._said(error)}") from error

    def _said(self, error: Exception) -> str:
        """What pyarrow says, which quotes the URI and the services' answers: without what is secret in it."""
        return in_one_line(redacted_about(str(error), self._uri))
