"""Calls into Ray that may never return: who makes an actor, or finds one, asks its GCS, which may be dead by then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from sweep.errors import EngineDown

__all__ = ["watched"]

_LOOK_EVERY_S = 0.2

T = TypeVar("T")


def watched(call: Callable[[], T], why_gone: Callable[[], str | None]) -> T:
    """What a call returns or raises. It is left alone in its thread where Ray is gone before it has ended.

    Raises:
        EngineDown: Ray is gone.
    """
    answer: Future[T] = Future()

    def perform() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            answer.set_exception(error)

    threading.Thread(target=perform, name="call-into-ray", daemon=True).start()
    while True:
        try:
            return answer.result(_LOOK_EVERY_S)
        except NotYet:
            if answer.done():  # as this wait ended; or the call itself has timed out
                return answer.result()
            if (why := why_gone()) is not None:
                raise EngineDown(why) from None
