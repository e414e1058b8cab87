"""Fetches a sweep from a store into a folder: the ledger, and the files that it names."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sweep.errors import LedgerError
from sweep.files.atomic import write_bytes
from sweep.files.confined import OutsideFolder, below
from sweep.files.sweep_dir import ARTIFACTS, SweepDir, is_shared
from sweep.storage.commits import FOLDER, Chain, Commit, StoredFile, latest
from sweep.storage.store import Store

__all__ = ["fetch_files", "read_chain", "sha256_of", "write_ledger"]

_AT_ONCE = 8
_PART = ".fetched"


def read_chain(store: Store) -> Chain:
    """What the store knows of the sweep. Raises LedgerError where it is damaged, RecordError where it is away."""
    keys = [entry.key for entry in store.below(FOLDER)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        contents = dict(zip(keys, pool.map(store.get, keys), strict=True))
    return latest({key: Commit.decode(key, data) for key, data in contents.items() if data is not None})


def write_ledger(chain: Chain, folder: Path) -> None:
    """The ledger of a folder becomes the store's; what is there must be a beginning of it.

    Raises:
        LedgerError: the folder's ledger is another one.
    """
    path = SweepDir(folder).ledger
    here = path.read_bytes() if path.is_file() else b""
    if not chain.lines.startswith(here[: here.rfind(b"\n") + 1]):
        raise LedgerError(f"{path} is not a beginning of the stored one")
    write_bytes(path, chain.lines, is_synced=True)


def fetch_files(store: Store, files: Mapping[str, StoredFile], folder: Path) -> None:
    """Fetch what is missing or different in the folder.

    Of a stage's folder all files come, or none: one that is not as it was when it was stored is left out, and its stage
    is then done again.

    Raises:
        LedgerError: a link in the folder leads out of it, where one of them would be written.
        RecordError: the store is away, or the disk is full.
    """
    wanted = {path: about for path, about in files.items() if not _is_there(_place_of(path, folder), about)}
    stages = {_unit(path) for path in wanted}
    shared = {about.key for path, about in wanted.items() if is_shared(path)}
    largest = {about.key: about.size_bytes for about in wanted.values()}
    contents = folder / ARTIFACTS / _PART
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            _remove(contents)  # of a process that was killed: its files may have further names
            contents.mkdir(parents=True, exist_ok=True)
            list(pool.map(lambda key: store.fetch(key, contents / Path(key).name, largest[key]), sorted(shared)))
            list(pool.map(lambda unit: _fetch_unit(store, unit, wanted, folder), sorted(stages)))
        finally:
            _remove(contents)


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place_of(path: str, folder: Path) -> Path:
    try:
        return below(folder, path)
    except OutsideFolder as error:
        raise LedgerError(f"{folder}: {path!r} {error}") from None


def _unit(path: str) -> str:
    """What appears at once: the folder of a stage, or a file."""
    parts = Path(path).parts
    return str(Path(*parts[:3])) if parts[0] == ARTIFACTS and len(parts) > 3 else path


def _fetch_unit(store: Store, unit: str, wanted: Mapping[str, StoredFile], folder: Path) -> None:
    mine = [path for path in wanted if path == unit or path.startswith(f"{unit}/")]
    part = folder / f"{unit}{_PART}"
    is_folder = mine != [unit]
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        for path in mine:
            target = part / Path(path).relative_to(unit) if is_folder else part
            target.parent.mkdir(parents=True, exist_ok=True)
            once = folder / ARTIFACTS / _PART / Path(wanted[path].key).name
            is_here = _is_linked(once, target) or store.fetch(wanted[path].key, target, wanted[path].size_bytes)
            if not is_here or not _is_there(target, wanted[path]):
                logging.getLogger(__name__).warning("%s: %s is not as it was stored: left out", store.name, path)
                return
        _put_in_place(part, folder / unit)
    finally:
        _remove(part)


def _is_linked(source: Path, target: Path) -> bool:
    """Make a further name of a file that was fetched already; it is read-only then, as it was where it came from."""
    try:
        os.link(source, target)
        target.chmod(0o444)
    except OSError:  # it was not, or the file system has no links
        return False
    return True


def _put_in_place(part: Path, target: Path) -> None:
    if target.is_dir():  # some of its files were missing or different
        for file in [path for path in part.rglob("*") if path.is_file()]:
            destination = target / file.relative_to(part)
            destination.parent.mkdir(parents=True, exist_ok=True)
            file.replace(destination)
    else:
        part.replace(target)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _is_there(path: Path, about: StoredFile) -> bool:
    return path.is_file() and path.stat().st_size == about.size_bytes and sha256_of(path) == about.sha256
