"""Which paths that a file or a store names stay in the folder that they belong to. The one place that decides it.

Sweep directories are mailed and copied, and stores are shared: what is written in them is somebody else's word. A path
in it is taken as a name below its folder or not at all, and so is a link in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["OutsideFolder", "below", "leading_out", "relative"]

_LONGEST_NAME_BYTES = 255
_LONGEST_PATH_BYTES = 4095
"""Of Linux: a longer one cannot be opened, and every look at it is an OSError."""


class OutsideFolder(ValueError):
    """Why a path is not taken, in words; whoever has read it says where."""


def relative(written: object) -> PurePosixPath:
    """A path as it is written, as a relative one without `.` and empty parts.

    Raises:
        OutsideFolder: it is no text, is empty or absolute, has `..` or a control character, or is longer than a path
            may be.
    """
    if not isinstance(written, str):
        raise OutsideFolder(f"is a {type(written).__name__} and no path")
    path = PurePosixPath(written)
    if not path.parts:
        raise OutsideFolder("names no file")
    if path.is_absolute():
        raise OutsideFolder("is absolute")
    if ".." in path.parts:
        raise OutsideFolder("leads out of its folder")
    if any(ord(character) < 32 or ord(character) == 127 for character in written):
        raise OutsideFolder("has control characters")
    try:
        sizes = [len(part.encode()) for part in path.parts]
    except UnicodeEncodeError:
        raise OutsideFolder("is no text in Unicode") from None
    if max(sizes) > _LONGEST_NAME_BYTES or sum(sizes) + len(sizes) > _LONGEST_PATH_BYTES:
        raise OutsideFolder("is longer than a path may be")
    return path


def below(folder: Path, written: object) -> Path:
    """The path in the folder, which need not be there; links on the way to it stay in the folder.

    Raises:
        OutsideFolder: as `relative`; or a link leads out.
    """
    path = folder / relative(written)
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle; one that nobody may follow
        is_inside = False
    if not is_inside:
        raise OutsideFolder("is a link that leads out of its folder")
    return path


def leading_out(folder: Path, depth: int) -> Path | None:
    """The first entry of a folder, and of folders in it down to a depth, that is a link which leads out of it, or no
    file at all: a pipe would keep its reader waiting for ever. None where there is none, or the folder is not there.
    """
    root = folder.resolve()
    return next((found for found in _entries(folder, depth) if not _stays_in(found, root)), None)


def _entries(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # gone, or not for us to see: whoever needs it says so
        return
    for entry in found:
        path = Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_folder and not entry.is_file(follow_symlinks=False):
            yield path
        elif is_folder and depth > 1:
            yield from _entries(path, depth - 1)


def _stays_in(path: Path, root: Path) -> bool:
    """Of an entry that is neither a file nor a folder."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            return stat.S_ISSOCK(mode)  # which nobody can open as a file
        return path.resolve().is_relative_to(root)
    except FileNotFoundError:
        return True
    except (OSError, RuntimeError):
        return False
