"""Ctrl-C and SIGTERM: the first ends the run in order, the third ends the process.

What must not be cut in two (a line of the ledger and its place in the state) runs under `uninterrupted`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

__all__ = ["OrderlyEnd", "is_honoured", "raise_if_owed", "uninterrupted"]


class _Hold:
    """Whether the main thread is where a KeyboardInterrupt would do harm, and whether one waits for it to leave."""

    depth = 0
    waiting = False
    is_owed = False
    """Whether a Ctrl-C was not seen to have ended anything yet. One inside a callback of a C library may be
    printed there and forgotten."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """The first Ctrl-C of an `OrderlyEnd` takes effect at the end of the block. Signals are the main thread's alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Hold.depth += 1
    try:
        yield
    finally:
        _Hold.depth -= 1
        if _Hold.waiting and not _Hold.depth:
            _Hold.waiting = False
            raise KeyboardInterrupt


def raise_if_owed() -> None:
    """Raise the KeyboardInterrupt of a Ctrl-C that somebody has swallowed; for a loop to call in each turn."""
    if _Hold.is_owed:
        _Hold.is_owed = False
        raise KeyboardInterrupt


def is_honoured() -> None:
    """A KeyboardInterrupt has arrived where it was meant to."""
    _Hold.is_owed = False


class OrderlyEnd:
    """While entered, the first SIGINT or SIGTERM raises KeyboardInterrupt in the main thread.

    A second one while things are being closed is answered with a line; a third ends the process at once: servers and
    workers die with it, and what is in the ledger stays.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> OrderlyEnd:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        _Hold.is_owed = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        _Hold.is_owed = self.count == 1
        if self.count == 1 and _Hold.depth:
            _Hold.waiting = True
        elif self.count == 1:
            raise KeyboardInterrupt
        elif self.count == 2:
            sys.stderr.write("\nclosing devices and workers; once more to leave at once\n")
        else:
            os._exit(130)
