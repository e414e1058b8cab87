"""Follows a ledger while its driver writes it, and gives the events that are new since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.files.line_log import MOST_LINE_BYTES, lines_in
from sweep.running.ledger.lines import LineReader
from sweep.running.ledger.state import LedgerState

__all__ = ["LedgerTail"]


_AT_ONCE_BYTES = 8 << 20
"""A follower that begins late has hundreds of MB before it."""


class LedgerTail:
    """Reads a ledger on from where it was. Nothing is locked: the driver need not know."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines, self._offset = LineReader(path), 0
        self.state = LedgerState()
        """The fold of all that was read."""

    def news(self) -> list[Mapping[str, Any]]:
        """Events since the last call, in order; of very many the first ones, and with the next calls the others.

        A line that is still being written waits for the next call.

        Raises:
            LedgerError: there is no ledger, or lines were taken out of it.
        """
        events: list[Mapping[str, Any]] = []
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:  # the driver took back a line that the disk had not kept
                    raise LedgerError(f"{self._path}: is shorter than it was")
                file.seek(self._offset)
                begin = self._offset
                for raw in lines_in(file):
                    is_growing = not raw.endswith(b"\n") and len(raw) < MOST_LINE_BYTES
                    if is_growing or self._offset - begin > _AT_ONCE_BYTES:
                        break
                    self._offset += len(raw)
                    for line in self._lines.take(raw):
                        self.state.apply(line.event, line.offset)
                        events.append(line.event)
        except OSError as error:
            raise LedgerError(f"{self._path}: cannot be read: {error}") from error
        return events
