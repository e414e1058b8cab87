"""The finished stages of a ledger; only the offsets of their lines are in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from sweep.errors import LedgerError
from sweep.running.ledger.lines import decode_line
from sweep.running.ledger.state import FinishedStage

__all__ = ["FinishedStages"]

_AT_HAND = 128
"""Stages whose results stay in memory: those that were asked for last are the ones that what follows will ask for."""


class FinishedStages(MutableMapping[str, FinishedStage]):
    """Finished stages by id, read back from the file when they are asked for: 40 us each.

    Raises LedgerError, on asking, where the line was damaged meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, int] = {}
        self._at_hand: OrderedDict[str, FinishedStage] = OrderedDict()

    def __getitem__(self, stage_id: str) -> FinishedStage:
        offset = self._offsets[stage_id]
        finished = self._at_hand.get(stage_id)
        if finished is None:
            finished = self._read(offset)
        self._keep(stage_id, finished)
        return finished

    def __setitem__(self, stage_id: str, finished: FinishedStage) -> None:
        self._offsets[stage_id] = finished.offset
        self._keep(stage_id, finished)

    def __delitem__(self, stage_id: str) -> None:
        del self._offsets[stage_id]
        self._at_hand.pop(stage_id, None)

    def __contains__(self, stage_id: object) -> bool:
        return stage_id in self._offsets

    def __iter__(self) -> Iterator[str]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def _read(self, offset: int) -> FinishedStage:
        with self._path.open("rb") as file:
            file.seek(offset)
            event = decode_line(file.readline())
        if event is None:
            raise LedgerError(f"{self._path}: the line after byte {offset} was damaged while it was in use")
        return FinishedStage.of(event, offset)

    def _keep(self, stage_id: str, finished: FinishedStage) -> None:
        self._at_hand[stage_id] = finished
        self._at_hand.move_to_end(stage_id)
        if len(self._at_hand) > _AT_HAND:
            self._at_hand.popitem(last=False)
