"""Folders of this user alone in a place that all users of the host share, such as /tmp and /dev/shm.

Each has a random name and mode 700. What lies there under such a name may be anybody's: a folder, a file or a link to a
file of ours. Only what is ours is opened or removed, and no link is followed.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sweep.errors import StudyError

__all__ = ["check_ours", "is_our_file", "is_our_folder", "make_ours", "our_folders", "private_folder"]


def private_folder(prefix: str, parent: Path | None = None) -> Path:
    """A new folder, in the place for temporary files unless another is named. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def our_folders(parent: Path, prefix: str) -> Iterator[Path]:
    """What is there of such folders of this user; nobody else's, and no links."""
    return (path for path in sorted(parent.glob(f"{prefix}*")) if is_our_folder(path))


def is_our_folder(path: Path) -> bool:
    """Whether it is a folder, and no link to one, of this user."""
    about = _about(path)
    return about is not None and stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()


def is_our_file(path: Path) -> bool:
    """Whether it is a file of this user that has no other name: a link to one, of either sort, may be anybody's."""
    about = _about(path)
    is_file = about is not None and stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    return is_file and about is not None and about.st_uid == os.geteuid()


def check_ours(path: Path, key: str) -> None:
    """For a folder of a known name in a place that everybody may write to: somebody may have made it before us.

    Raises:
        StudyError: it is another user's, or a link; `key` is what a person chose the place with.
    """
    parent = _about(path.parent)
    if parent is None or not parent.st_mode & stat.S_IWOTH or _about(path) is None or is_our_folder(path):
        return
    allowed = "a place that others cannot write to, or a folder of your own"
    raise StudyError("is another user's folder, or a link", key=key, value=str(path), allowed=allowed)


def make_ours(path: Path, key: str) -> None:
    """Make such a folder where it is not there. Raises StudyError as `check_ours`, and where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # as where HOME is /dev/null, for accounts of services
        allowed = f"a folder that can be written, named by {key} or HOME"
        raise StudyError(f"cannot be made: {error.strerror}", key=key, value=str(path), allowed=allowed) from error
    check_ours(path, key)


def _about(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
