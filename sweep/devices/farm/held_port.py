"""A port that stays a farm's while nothing listens on it: the kernel gives it to no other process meanwhile."""

from __future__ import annotations

import socket

__all__ = ["LOOPBACK", "HeldPort"]

LOOPBACK = "127.0.0.1"


class HeldPort:
    """Bound and never listening, so that a tracker may bind and listen beside it (both with SO_REUSEADDR).

    Else the port of a killed tracker is free until the next one has it, and any connection of any process, such as one
    of a Ray that starts at the same time, may be given it for as long as that process lives.
    """

    def __init__(self) -> None:
        self._holding: socket.socket | None = None

    def take(self, port: int) -> int:
        """Hold this port, or any that is free for 0, until it is released; gives the port that is held.

        Where somebody else has it, nothing is held: who listens on it next says so.
        """
        if self._holding is None:
            holding = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                holding.bind((LOOPBACK, port))
            except OSError:
                holding.close()
                return port
            self._holding = holding
        return int(self._holding.getsockname()[1])

    def release(self) -> None:
        """Let others have it."""
        if self._holding is not None:
            self._holding.close()
            self._holding = None
