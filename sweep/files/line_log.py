"""A file of lines that grows by whole lines only, also where the disk fills up in the middle of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

__all__ = ["MOST_LINE_BYTES", "LineLog", "append_line", "check_whole", "cut_torn_line", "lines_in"]

MOST_LINE_BYTES = 32 << 20
"""Of a line that is read, several times what a tuned network takes in a ledger; one that is made up could take 24 times
its size in memory."""


_PIECE_BYTES = 1 << 20


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


def lines_in(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file with their ends, one at a time; one that is too long comes in pieces of MOST_LINE_BYTES."""
    while raw := file.readline(MOST_LINE_BYTES):
        yield raw


def check_whole(path: Path) -> None:
    """For a file that others write, who look at no error: raises OSError where its last line has no end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def cut_torn_line(path: Path) -> int:
    """Cut a last line that has no end off a file of lines; returns the number of bytes cut."""
    if not path.is_file():
        return 0
    with path.open("r+b") as file:
        size = keep = file.seek(0, os.SEEK_END)
        while keep:
            begin = max(0, keep - _PIECE_BYTES)
            file.seek(begin)
            end = file.read(keep - begin).rfind(b"\n") + 1
            keep = begin + end
            if end:
                break
        if keep < size:
            file.truncate(keep)
    return size - keep
