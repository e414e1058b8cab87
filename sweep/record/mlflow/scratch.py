"""Folders in memory for files that a process needs for a moment; the next process removes those of a killed one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import filelock

from sweep.files.private_folder import is_our_file, is_our_folder

__all__ = ["scratch"]

_MEMORY, _PREFIX, _LOCK = Path("/dev/shm"), "sweep-mlflow-", ".lock"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory, where there is some. Those of this user that killed processes have left, whose locks nobody
    holds, go.

    The lock lies beside the folder: there before it and gone after it, so that none is ever without.
    """
    home = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(gettempdir())
    for left in filter(is_our_file, home.glob(f"{_PREFIX}*{_LOCK}")):
        with suppress(filelock.Timeout, OSError), filelock.FileLock(left, timeout=0):
            _remove(left)
    lock = home / f"{_PREFIX}{uuid4().hex}{_LOCK}"
    with filelock.FileLock(lock, mode=0o600):
        try:
            folder = lock.with_suffix("")
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            _remove(lock)


def _remove(lock: Path) -> None:
    if is_our_folder(lock.with_suffix("")):
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
