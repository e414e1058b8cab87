"""A sweep at a URI: the folder of this host in which it works, and what is sent and fetched around it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import RecordError
from sweep.files.private_folder import check_ours
from sweep.files.sweep_dir import ARTIFACTS, SELDOM_TABLES, TABLES, SweepDir
from sweep.redaction import without_login

if TYPE_CHECKING:
    from sweep.storage.store import Store

__all__ = ["fetched", "is_uri", "stored"]

_WORK_DIR = "SWEEP_WORK_DIR"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_uri(path: Path | str) -> bool:
    """Whether it is a URI, and not the path of a folder."""
    return isinstance(path, str) and _URI.match(path) is not None


@contextmanager
def stored(uri: str, *, fresh: bool = False) -> Iterator[Path]:
    """A folder of this host with what the store has of the sweep; what is finished there is sent to the store.

    `fresh`: begin again; what the folder has is moved aside, and what the store has no longer counts.

    Raises:
        StudyError: the URI cannot be one, or another user has the folder.
        LedgerError: another run writes there.
        RecordError: the store cannot be reached, at the beginning or at the end.
    """
    from sweep.storage.commits import Chain
    from sweep.storage.restore import fetch_files, read_chain, write_ledger
    from sweep.storage.store import Store
    from sweep.storage.uploader import StoreMirror
    from sweep.storage.write_claim import WriteClaim

    store, folder = Store(uri), work_folder(uri)
    check_ours(folder, _WORK_DIR)
    ledger = SweepDir(folder).ledger
    lease = WriteClaim(store)
    try:
        chain = read_chain(store)
        if fresh or not _go_together(ledger, chain.lines):
            _move_aside(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            chain = Chain(epoch=chain.epoch)
        elif chain.lines:
            fetch_files(store, chain.files, folder)
            if not ledger.exists() or ledger.stat().st_size < len(chain.lines):
                write_ledger(chain, folder)
        mirror = StoreMirror(store, lease, chain, folder)
        try:
            yield folder
        finally:
            mirror.close()
            _publish(store, folder)
    finally:
        lease.close()


def fetched(uri: str, *, is_whole: bool = False) -> Path:
    """A folder of this host with what the store has of the sweep now, to be read: all but what its stages have made,
    which comes along where it `is_whole`.

    Raises:
        StudyError: the URI cannot be one.
        RecordError: the store cannot be reached, or has no sweep there.
    """
    from sweep.storage.restore import fetch_files, read_chain, write_ledger
    from sweep.storage.store import Store

    store = Store(uri)
    chain = read_chain(store)
    if chain.head is None:
        raise RecordError(f"{store.name}: there is no sweep")
    folder = work_folder(uri).with_name(f"{work_folder(uri).name}.{'whole' if is_whole else 'read'}")
    check_ours(folder, _WORK_DIR)
    ledger = SweepDir(folder).ledger
    folder.mkdir(parents=True, exist_ok=True)
    if not _go_together(ledger, chain.lines):
        ledger.unlink()
    wanted = {path: file for path, file in chain.files.items() if is_whole or not path.startswith(f"{ARTIFACTS}/")}
    fetch_files(store, wanted, folder)
    write_ledger(chain, folder)
    return folder


def work_folder(uri: str) -> Path:
    """Where a sweep works that is kept at a URI: below SWEEP_WORK_DIR, which on a cluster its nodes share, or in the
    user's cache folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tvm-sweep" / "stores"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", without_login(uri).rstrip("/").rpartition("/")[2]).strip("-.")
    return Path(os.environ.get(_WORK_DIR) or cache) / f"{name}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"


def _move_aside(folder: Path) -> None:
    if folder.exists():
        aside = folder.rename(folder.with_name(f"{folder.name}.old-{time.time_ns()}"))
        logging.getLogger(__name__).warning("what %s had is in %s now", folder, aside)


def _go_together(ledger: Path, lines: bytes) -> bool:
    """Whether one of the two is a beginning of the other; a run that was taken over has gone on on its own."""
    if not ledger.is_file():
        return True
    here = ledger.read_bytes()
    here = here[: here.rfind(b"\n") + 1]
    return here.startswith(lines) or lines.startswith(here)


def _publish(store: Store, folder: Path) -> None:
    """Tables and report, under their own names: they are made from the rest, and are for people."""
    files = SweepDir(folder)
    for path in [*map(files.table, [*TABLES, *SELDOM_TABLES]), *files.report.rglob("*")]:
        if path.is_file():
            store.send(str(path.relative_to(folder)), path)
