"""Ctrl-C and SIGTERM: the first ends the run in order, the third ends the process."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType

__all__ = ["OrderlyEnd"]


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

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt
        if self.count == 2:
            sys.stderr.write("\nclosing devices and workers; once more to leave at once\n")
            return
        os._exit(130)
