"""A file of lines that grows by whole lines only, also where the disk fills up in the middle of one."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path

__all__ = ["LineLog", "append_line", "check_whole", "cut_torn_line"]


class LineLog:
    """The one writer of a file of lines."""

    def __init__(self, path: Path) -> None:
        cut_torn_line(path)
        self._file = FileIO(path, "ab")

    def append(self, line: str) -> None:
        """Write one line. Raises OSError where the disk refuses, and takes back what it took of the line."""
        _append(self._file, line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def append_line(path: Path, line: str) -> None:
    """The same for a file that gets a line now and then. Raises OSError."""
    with FileIO(path, "ab") as file:
        _append(file, line)


def _append(file: FileIO, line: str) -> None:
    size, data = file.seek(0, os.SEEK_END), f"{line}\n".encode()
    try:
        while data:  # a disk takes what there is room for, and says why only when asked for more
            data = data[file.write(data) :]
    except OSError:
        file.truncate(size)
        raise


def check_whole(path: Path) -> None:
    """For a file that others write, who look at no error: raises OSError where its last line has no end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def cut_torn_line(path: Path) -> int:
    """Cut a last line that has no end off a file of lines; returns the number of bytes cut."""
    if not path.is_file():
        return 0
    data = path.read_bytes()
    keep = data.rfind(b"\n") + 1
    if keep == len(data):
        return 0
    with path.open("r+b") as file:
        file.truncate(keep)
    return len(data) - keep
