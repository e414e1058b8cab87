"""Reads a bundle, folder or zip file, and checks that it is whole."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.api.bundles.manifest import FORMAT, VERSION, is_manifest
from sweep.errors import StudyError
from sweep.files.confined import OutsideFolder, below
from sweep.files.typed_json import parsed
from sweep.files.unpacked_size import check_unpacked

__all__ = ["MANIFEST", "Bundle", "is_bundle", "opened", "read_zipped_manifest"]

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is whole."""

    folder: Path
    manifest: dict[str, Any]


def is_bundle(path: Path) -> bool:
    """Whether a path looks like a bundle, whole or not."""
    return path.is_file() if path.suffix == ".zip" else (path / MANIFEST).is_file()


_UNREADABLE = (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What zipfile raises of a file that is damaged, encrypted or packed in another way."""


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle to be read; of a zip file a copy that is gone afterwards.

    Raises:
        StudyError: it is none, of a newer version, or damaged.
    """
    if path.suffix != ".zip":
        yield _checked(path, path)
        return
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        try:
            with zipfile.ZipFile(path) as archive:
                check_unpacked(archive)
                archive.extractall(scratch)
        except _UNREADABLE as error:
            raise StudyError(f"cannot be read: {error}", key="WHAT", value=str(path), allowed="a bundle") from error
        (folder, *_) = [*(manifest.parent for manifest in Path(scratch).glob(f"*/{MANIFEST}")), Path(scratch)]
        yield _checked(folder, path)


def read_zipped_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest in a zip file; None where there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith(f"/{MANIFEST}"))
            check_unpacked(archive)
            manifest = parsed(archive.read(name))
    except (*_UNREADABLE, KeyError, StopIteration):
        return None
    return manifest if is_manifest(manifest) else None


def _checked(folder: Path, path: Path) -> Bundle:
    """`path`: as it was named."""
    try:
        manifest = parsed((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        problem = f"has no {MANIFEST} that can be read"
        raise StudyError(problem, key="WHAT", value=str(path), allowed="a bundle of `sweep export`") from error
    if not is_manifest(manifest):
        allowed = f'"format": "{FORMAT}"'
        raise StudyError(f"has a {MANIFEST} of something else", key="WHAT", value=str(path), allowed=allowed)
    if manifest.get("version") != VERSION:
        version = manifest.get("version")
        allowed = f"version {VERSION}"
        raise StudyError("is a bundle of another version", file=path, key="version", value=version, allowed=allowed)
    for name, sha256 in manifest["files"].items():
        try:
            content = below(folder, name).read_bytes()
        except OutsideFolder as error:
            raise StudyError(f"{error}", file=path, key=name, allowed="files of the bundle") from None
        except OSError as error:
            raise StudyError(f"is missing: {error.strerror}", file=path, key=name, allowed="a whole bundle") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StudyError(f"is damaged: its sha256 is not that of {MANIFEST}", file=path, key=name)
    return Bundle(folder, manifest)
