"""Finds out whether a sweep's own MLflow store is damaged, and sets it aside: the ledger has all that it held."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sweep.errors import RecordError, in_one_line
from sweep.files.sweep_dir import SweepDir

__all__ = ["set_damaged_aside"]

_CHECKED_BYTES = 64 << 20
"""Up to which every page is looked at, in less than half a second. Of a larger one only whether it opens."""
_BESIDE = ("-wal", "-shm", "-journal")


def set_damaged_aside(sweep_dir: Path) -> Path | None:
    """The new name of a store that cannot be read, or None; the next that writes makes one anew. It is said in a line.

    Raises RecordError where it cannot be moved.
    """
    path = SweepDir(sweep_dir).mlflow_database
    what = _damage(path)
    if what is None:
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
        for suffix in _BESIDE:  # else SQLite would apply them to the new one
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{suffix}").rename(aside.with_name(f"{aside.name}{suffix}"))
    except OSError as error:
        raise RecordError(f"{path}: is damaged ({what}), and cannot be moved away: {error.strerror}") from error
    logging.getLogger(__name__).warning(
        "%s: is damaged (%s); it is %s now, and the ledger's cells are mirrored anew", path, what, aside.name
    )
    return aside


def _damage(path: Path) -> str | None:
    """What is wrong with it; None where nothing is, or where nobody can tell."""
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=5)) as store:
            store.execute("SELECT count(*) FROM experiments").fetchone()
            if path.stat().st_size <= _CHECKED_BYTES:
                [(said, *_), *_] = store.execute("PRAGMA quick_check(1)").fetchall()
                return None if said == "ok" else in_one_line(ValueError(said))[:120]
    except sqlite3.OperationalError as error:
        return in_one_line(error)[:120] if "no such table" in str(error) else None  # else it is locked, or read-only
    except (sqlite3.DatabaseError, ValueError) as error:
        return in_one_line(error)[:120]
    except OSError:
        return None
    return None
