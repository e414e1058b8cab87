"""Following a ledger while its driver writes it: what is new since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.running.ledger import LedgerState, decode_line

__all__ = ["LedgerTail"]


class LedgerTail:
    """Reads a ledger on from where it was. Nothing is locked: the driver need not know."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.state = LedgerState()
        """The fold of all that was read."""

    def news(self) -> list[Mapping[str, Any]]:
        """Events since the last call, in order. A line that is still being written waits for the next call.

        Raises:
            LedgerError: there is no ledger, or a line of it is damaged.
        """
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:  # the driver took back a line that the disk had not kept
                    raise LedgerError(f"{self._path}: is shorter than it was")
                file.seek(self._offset)
                read = file.read()
        except OSError as error:
            raise LedgerError(f"{self._path}: cannot be read: {error}") from error
        whole = read[: read.rfind(b"\n") + 1]
        found = []
        for raw in whole.splitlines(keepends=True):
            line = decode_line(raw)
            if line is None or line["seq"] != self.state.seq + 1:
                raise LedgerError(f"{self._path}: the line after {self.state.seq} is damaged (checksum or sequence)")
            self.state.apply(line)
            self._offset += len(raw)
            found.append(line)
        return found
