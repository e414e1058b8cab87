"""How commands speak to a terminal: nothing that they were told by others is a command to it."""

from __future__ import annotations

import logging

import typer

from sweep.plain_text import visible
from sweep.redaction import redacted

__all__ = ["say", "show_log_lines_plainly"]


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
