"""Keeps each thread to one board: no two boards are quite alike, and one thread measures all blocks of a cell.

The tracker hands out whichever board is free. A thread parks an offer that it does not want, where the thread that
wants it finds it; offers that nobody takes are declined.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.devices.rpc.remote import decline

if TYPE_CHECKING:
    from sweep.devices.rpc.tracker_client import Board, TrackerClient

__all__ = ["BoardAffinity"]

SWAP_WAIT_S = 0.3
"""For a thread's usual board, when another one was offered first: it is free, or somebody else has it for longer."""
POLL_S = 0.05


class BoardAffinity:
    """Knows which thread keeps to which of a key's boards, and holds offers that wait for their thread."""

    def __init__(self, tracker: TrackerClient, key: str) -> None:
        self._tracker, self._key = tracker, key
        self._usual: dict[int, str] = {}
        self._parked: dict[str, Board] = {}
        self._lock = threading.Lock()

    def swapped(self, board: Board) -> Board | None:
        """This thread's usual board where it is free, else one that is nobody's, else any; it is the usual one then.

        None where others took all that there was, also `board`. Raises DeviceLost: the tracker is away.
        """
        deadline = time.monotonic() + SWAP_WAIT_S
        brought = [board.address]
        self._put(board)
        try:
            while (chosen := self._take_wanted()) is None and time.monotonic() < deadline:
                offer = self._tracker.request(self._key, POLL_S)
                if offer is not None:
                    brought.append(offer.address)
                    self._put(offer)
            return self._take_any(brought) if chosen is None else chosen
        finally:  # an offer that stayed parked would later be taken for a good one
            for unused in self._take_back(brought):
                decline(unused)

    def forget_mine(self) -> None:
        """Let this thread take whichever board comes next, and keep to that."""
        with self._lock:
            self._usual.pop(threading.get_ident(), None)

    def _put(self, board: Board) -> None:
        with self._lock:
            self._parked[board.address] = board

    def _take_wanted(self) -> Board | None:
        mine = threading.get_ident()
        with self._lock:
            usual = self._usual.get(mine)
            others = set(self._usual.values()) - {usual}
            wanted = [usual] if usual is not None else [address for address in self._parked if address not in others]
            chosen = next((self._parked.pop(address) for address in wanted if address in self._parked), None)
            if chosen is not None:
                self._usual[mine] = chosen.address
            return chosen

    def _take_any(self, addresses: Sequence[str]) -> Board | None:
        with self._lock:
            chosen = next((self._parked.pop(address) for address in addresses if address in self._parked), None)
            if chosen is not None:
                self._usual[threading.get_ident()] = chosen.address
            return chosen

    def _take_back(self, addresses: Sequence[str]) -> list[Board]:
        with self._lock:
            return [self._parked.pop(address) for address in addresses if address in self._parked]
