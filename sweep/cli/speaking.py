"""What a command shows of itself: its words on a terminal, warnings in the log, its command line in `ps`.

Nothing that it was told by others is a command to the terminal, and nothing that is secret is in any of them.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from pathlib import Path

import typer

from sweep.plain_text import visible
from sweep.redaction import redacted, redacted_arguments

__all__ = ["hide_secrets_of_arguments", "say", "show_log_lines_plainly"]

_ARG_START, _ARG_END = 45, 46
"""Places in a stat file, counted from the state on, of the addresses between which the command line lies."""


def say(text: str, *, err: bool = False) -> None:
    """Print a text, to standard output or standard error."""
    typer.echo(visible(text), err=err)


class _Plain(logging.Formatter):
    """Log lines with what cannot be seen written out, and what is secret left out."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(redacted(super().format(record)))


def show_log_lines_plainly() -> None:
    """For warnings, which Python writes to standard error where nobody else wants them."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Plain())


def hide_secrets_of_arguments() -> None:
    """Replace in `sys.argv`, and in what `ps` shows, the arguments with a secret by what may be read of them.

    Every user of the host sees command lines for as long as a process runs, and libraries keep them: Ray has that of a
    driver in its dashboard. The kernel shows them from where they lie in the process's memory.
    """
    shown = redacted_arguments(sys.argv)
    secret = {written: seen for written, seen in zip(sys.argv, shown, strict=True) if written != seen}
    if not secret:
        return
    sys.argv[:] = shown
    _hide_in_memory({_bytes(written): _bytes(seen) for written, seen in secret.items()})


def _hide_in_memory(secret: dict[bytes, bytes]) -> None:
    """Linux only; where the kernel tells no address, the command line stays as it is."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, ValueError, IndexError):
        return
    if not 0 < start < end:
        return
    position = start
    for written in ctypes.string_at(start, end - start).split(b"\0"):
        if written in secret:
            # As long as before: what follows stays where it is
            ctypes.memmove(position, secret[written][: len(written)].ljust(len(written), b" "), len(written))
        position += len(written) + 1


def _bytes(text: str) -> bytes:
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
