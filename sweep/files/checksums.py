"""What the files of a folder were when they were made, by which they are believed later: size, time and SHA-256.

A look at size and time costs microseconds, and tells what programs and people do to files. What a disk does to them in
silence, and who wants to deceive, only the content tells: it is read before it is used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.files.confined import OutsideFolder, relative

__all__ = ["Checksums", "damage", "damage_without_checksums", "sums_of"]

Checksums = Mapping[str, Sequence[Any]]
"""By path in the folder: size in bytes, time of the last change in nanoseconds, SHA-256 in hexadecimal."""


def sums_of(folder: Path) -> dict[str, list[Any]]:
    """Of all files of a folder and below; none of one that is not there. Raises OSError."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        if stat.S_ISREG(about.st_mode):
            name = path.relative_to(folder).as_posix()
            found[name] = [about.st_size, about.st_mtime_ns, _sha256(path, about)]
    return found


def damage(folder: Path, sums: Checksums, *, is_read: bool) -> str | None:
    """What a folder lacks of what it was, in words; None where it is as it was.

    is_read: the content of each file is read. Without, only that of files whose time is another, as in a copy, and what
    is gone is not missed: people delete what they do not need any more. A file whose content is another gets the time
    of now, by which each later look finds it.
    """
    for name, about in sums.items():
        reason = _damage(folder, name, about, is_read=is_read)
        if reason is not None:
            return f"{name} {reason}"
    return None


def damage_without_checksums(folder: Path, names: Iterable[str]) -> str | None:
    """The same where nothing but the names of the files is known: one is gone, or empty."""
    for name in names:
        try:
            about = (folder / name).stat()
        except OSError:
            return f"{name} is not there"
        if not about.st_size:
            return f"{name} is empty"
    return None


def _damage(folder: Path, name: str, about: Sequence[Any], *, is_read: bool) -> str | None:
    try:
        size_bytes, mtime_ns, sha256 = about
        path = folder / relative(name)
        now = path.lstat()
        if not stat.S_ISREG(now.st_mode):
            return "is no file"
        if now.st_size != size_bytes:
            return f"has {now.st_size} bytes in place of {size_bytes}"
        if (is_read or now.st_mtime_ns != mtime_ns) and _sha256(path, now) != sha256:
            with suppress(OSError):  # for the next quick look to find it too: a disk has changed it in silence
                os.utime(path)
            return "is not what was written: another SHA-256"
    except OutsideFolder as error:
        return str(error)
    except FileNotFoundError:
        return "is not there" if is_read else None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, TypeError):
        return "has no checksum that can be read"
    return None


def _sha256(path: Path, about: os.stat_result) -> str:
    """Read once while the inode stays as it is: weights are one file under the names of many stages."""
    key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    known = _known.get(key)
    if known is None:
        with path.open("rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = known
    return known


_MOST_KNOWN = 100_000
_known: dict[tuple[int, ...], str] = {}
"""By what no program can set back: each change of a file is a new time of its inode."""
