"""Files and folders that appear whole: written under a name of their own beside their place, then renamed into it.

A reader, and a kill in the middle, see the former content or the new one. Each writer has its own temporary name, so
two that write one file at once do not meet: the last to end wins.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["PARTIAL", "remove_half_made", "replacing", "replacing_folder", "write_bytes", "write_text"]

PARTIAL = ".partial"
"""Ends the name of a file in the making, which begins with a dot."""
_GONE = ".gone"
"""Ends the name of a folder that was taken from its writer."""


@contextmanager
def replacing(path: Path, *, is_synced: bool = False, suffix: str = PARTIAL) -> Iterator[Path]:
    """The name to write a file under: it takes the place of `path` if the block ends well, and is gone if it does not.

    is_synced: the content is on the disk before the file has its name, for what cannot be made again. suffix: ends the
    temporary name, for writers that go by it. The folder must be there. Raises OSError.
    """
    _remove_abandoned(path, suffix)
    partial = path.with_name(f"{_mine(path)}{os.getpid()}-{os.urandom(4).hex()}{suffix}")
    try:
        yield partial
        if is_synced:
            _sync(partial)
        partial.replace(path)
        if is_synced:
            _sync(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, is_synced: bool = False) -> None:
    """Write a whole file; `is_synced` as in `replacing`. Raises OSError."""
    with replacing(path, is_synced=is_synced) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str, *, is_synced: bool = False) -> None:
    """Write a whole file in UTF-8; `is_synced` as in `replacing`. Raises OSError."""
    write_bytes(path, content.encode(), is_synced=is_synced)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder to write in: it takes the place of `path` if the block ends well, and is gone if it does not.

    For one writer at a time: who begins takes it from all that began before, such as a worker that was given up for
    lost and lives. That one then ends in an OSError and replaces nothing, however late it ends. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for earlier in path.parent.glob(f".{path.name}-*"):
        _take_away(earlier)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        folder.replace(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_half_made(parent: Path) -> None:
    """Remove what killed writers have left of folders in `parent`, while nobody writes one there."""
    for abandoned in parent.glob(".*-*"):
        _take_away(abandoned)


def _take_away(folder: Path) -> None:
    """Remove a folder that somebody may write in at this moment: its name is gone at once, and cannot be renamed."""
    if not folder.is_dir():
        return
    gone = folder if folder.name.endswith(_GONE) else folder.with_name(folder.name + _GONE)
    with suppress(OSError):
        folder.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _mine(path: Path) -> str:
    """Begins the temporary names of this host's processes: of another host's nobody here knows whether they live."""
    return f".{path.name}.{zlib.crc32(os.uname().nodename.encode()):08x}-"


def _remove_abandoned(path: Path, suffix: str) -> None:
    """Remove what killed processes of this host have left of the file."""
    prefix = _mine(path)
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                pid = entry.name.removeprefix(prefix).partition("-")[0]
                if pid.isdecimal() and not _is_running(int(pid)):
                    Path(entry.path).unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
