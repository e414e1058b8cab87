"""Writes a bundle: a folder, or a zip file of one, that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.api.bundles.manifest import is_manifest
from sweep.api.bundles.reading import MANIFEST, read_zipped_manifest
from sweep.api.bundles.texts import SHIPPED, header, page
from sweep.errors import StudyError
from sweep.files.atomic import PARTIAL, replacing
from sweep.files.npz import save_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.api.bundles.source import CellSource

__all__ = ["check_place", "write_bundle"]

_KEY = "--out"
_ALLOWED = "a new folder, an empty one, a former bundle, or a name that ends in .zip"
_OF_THEIR_USE = ("build", "__pycache__")
"""Folders that come into being where a bundle is used, and may go."""


def check_place(out: Path) -> None:
    """Raises StudyError where something is there that is no bundle: it would be lost."""
    if not os.path.lexists(out):
        return
    if out.suffix == ".zip":
        if not out.is_file() or read_zipped_manifest(out) is None:
            raise StudyError("is there and is no zipped bundle", key=_KEY, value=str(out), allowed=_ALLOWED)
        return
    if not out.is_dir():
        raise StudyError("is there and is no folder", key=_KEY, value=str(out), allowed=_ALLOWED)
    if not any(out.iterdir()):
        return
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = None
    if not is_manifest(manifest):
        raise StudyError("is not empty and is no bundle", key=_KEY, value=str(out), allowed=_ALLOWED)
    own = {MANIFEST, *manifest["files"]}
    foreign = [name for name in _names_in(out) if name not in own and name.split("/")[0] not in _OF_THEIR_USE]
    if foreign:
        problem = f"is a bundle with other files in it, such as {foreign[0]}"
        raise StudyError(problem, key=_KEY, value=str(out), allowed=_ALLOWED)


def write_bundle(out: Path, manifest: Mapping[str, Any], source: CellSource) -> None:
    """Write a bundle to a place that `check_place` allows. manifest: without what there is to say of its files.

    Raises:
        StudyError: something else is there.
        OSError: the disk refuses.
    """
    check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _scratch_beside(out) as scratch:
        folder = scratch / out.stem if out.suffix == ".zip" else scratch / out.name
        folder.mkdir()
        _fill(folder, manifest, source)
        if out.suffix == ".zip":
            with replacing(out, is_synced=True) as partial:
                _zip(folder, partial)
        else:
            _take_place(folder, out, scratch / "former")


@contextmanager
def _scratch_beside(out: Path) -> Iterator[Path]:
    """A folder on the same file system, gone afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=PARTIAL, dir=out.parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _take_place(folder: Path, out: Path, former: Path) -> None:
    """Two renames: what was there is back under its name if the second is refused."""
    is_there = out.exists()
    if is_there:
        out.rename(former)
    try:
        folder.rename(out)
    except OSError:
        if is_there:
            former.rename(out)
        raise


def _fill(folder: Path, manifest: Mapping[str, Any], source: CellSource) -> None:
    (folder / "data").mkdir()
    shutil.copyfile(source.artifact.lib, folder / manifest["library"])
    (folder / manifest["library"]).chmod(0o755)
    inputs = [
        {**entry, "file": _bare(folder, f"data/input_{index}.bin", value)}
        for index, (entry, value) in enumerate(zip(manifest["inputs"], source.artifact.inputs, strict=True))
    ]
    save_arrays(
        folder / "inputs.npz",
        {entry["name"]: value for entry, value in zip(inputs, source.artifact.inputs, strict=True)},
    )
    expected = [
        {"file": _bare(folder, f"data/expected_{index}.bin", value), "dtype": str(value.dtype)}
        for index, value in enumerate(source.artifact.expected or ())
    ]
    if source.artifact.expected is not None:
        save_arrays(
            folder / "expected.npz", {f"output_{index}": value for index, value in enumerate(source.artifact.expected)}
        )
    for name, path in SHIPPED.items():
        shutil.copyfile(path, folder / name)
    outputs = [dict(entry) for entry in manifest["outputs"]]
    for entry, known in zip(outputs, expected, strict=False):
        entry["expected"] = known
    whole = {**manifest, "inputs": inputs, "outputs": outputs}
    (folder / "network.h").write_text(header(whole, expected), encoding="utf-8")
    names = {*_names_in(folder), "README.md"}
    (folder / "README.md").write_text(page({**whole, "files": names}), encoding="utf-8")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}
    text = json.dumps({**whole, "files": files}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _bare(folder: Path, name: str, value: NDArray[Any]) -> str:
    """Write the bytes of an array, little-endian and row by row; gives the name."""
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    (folder / name).write_bytes(little.tobytes())
    return name


def _zip(folder: Path, path: Path) -> None:
    """One folder in it, of the bundle's name; no times, so that the same bundle is the same file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(_names_in(folder)):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes())


def _names_in(folder: Path) -> list[str]:
    """Its files, relative to it."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
