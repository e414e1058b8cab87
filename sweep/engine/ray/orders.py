"""What a builder makes for others, by tickets: with its ticket whoever ordered it can have it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = ["Orders"]


class Orders:
    """Of one builder. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._making: dict[str, Future[dict[str, Any]]] = {}
        self._cancelled: set[str] = set()
        """Tickets that were cancelled before they were taken: calls of an actor overtake each other."""

    @contextmanager
    def taken(self, ticket: str, begin: Callable[[], Future[dict[str, Any]]]) -> Iterator[Future[dict[str, Any]]]:
        """Begin what a ticket is for; until the end of the block it can be cancelled.

        Raises CancelledError where it was before.
        """
        with self._lock:
            if ticket in self._cancelled:
                self._cancelled.remove(ticket)
                raise CancelledError
            self._making[ticket] = making = begin()
        try:
            yield making
        finally:
            with self._lock:
                del self._making[ticket]

    def cancel(self, ticket: str) -> None:
        """End what was begun for a ticket; what was not will not begin."""
        with self._lock:
            making = self._making.get(ticket)
            if making is None:
                self._cancelled.add(ticket)
        if making is not None:
            making.cancel()
