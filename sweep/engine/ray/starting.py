"""Bringing up an embedded Ray: the one call that may never return, since it waits for processes that may be killed.

`ray.init` starts a GCS, then asks it, with a patience of a day. It runs in a thread of its own, so that a person's
Ctrl-C is heard meanwhile and a GCS that was killed is seen; and the thread stays until the session is over, since Linux
ends Ray's processes with the thread that has started them, not with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress

import psutil

from sweep.errors import EngineDown

__all__ = ["StartingThread"]

_LOOK_EVERY_S = 0.2
_GRACE_S = 15.0
"""Ray sees some deaths itself, and its own error says more. Else it makes two clients of the GCS, gives each 5 s to
connect, keeps them where the next try would find them, and only then waits without end."""
_QUIET_S = 1.0
"""Without a new process: the call waits for one that is gone, and will start no more."""
_CLOCK_S = 1.0
"""Starts of processes are told in hundredths of a second since the machine came up, which is known less well."""
_VITAL = ("gcs_server", "raylet")


class StartingThread:
    """Performs one call, and lives on until `end`."""

    def __init__(self, call: Callable[[], object], mark: tuple[str, str]) -> None:
        """call: starts Ray, whose processes are children of this one. mark: a variable in their environment."""
        self._call, self._mark = call, mark
        self._answer: Future[None] = Future()
        self._over = threading.Event()
        self._begun_at = time.time()
        threading.Thread(target=self._perform, name="ray-init", daemon=True).start()

    def wait(self) -> None:
        """Until Ray is up.

        Raises:
            EngineDown: a process of it ended meanwhile, and the call does not see it.
            Exception: what the call raised.
        """
        gone_since: float | None = None
        while True:
            try:
                return self._answer.result(_LOOK_EVERY_S)
            except NotYet:
                if self._answer.done():  # as this wait ended; or the call itself has timed out
                    return self._answer.result()
            name = self._gone()
            gone_since = None if name is None else gone_since or time.monotonic()
            if gone_since is not None and time.monotonic() - gone_since > _GRACE_S:
                raise EngineDown(f"Ray's {name} ended while it came up")

    def end(self) -> None:
        """Let the thread end, and Ray's processes with it; they are ended here where the call is still under way."""
        self._over.set()
        quiet_since = time.monotonic()
        while not self._answer.done() and time.monotonic() - quiet_since < _QUIET_S:
            for process in self._started():
                with suppress(psutil.Error):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        quiet_since = time.monotonic()
                    process.kill()
            with suppress(NotYet, Exception):
                self._answer.result(_LOOK_EVERY_S)

    def _perform(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - `wait` raises it
            self._answer.set_exception(error)
        else:
            self._answer.set_result(None)
            self._over.wait()

    def _gone(self) -> str | None:
        """The name of a vital process that ended, and that nobody has waited for."""
        for process in self._children():
            with suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE and process.name() in _VITAL:
                    return process.name()
        return None

    def _started(self) -> list[psutil.Process]:
        """Those of this process's children that the call has started."""
        found = []
        name, value = self._mark
        for process in self._children():
            with suppress(psutil.Error, OSError):
                if process.environ().get(name) == value:
                    found.append(process)
        return found

    def _children(self) -> list[psutil.Process]:
        """Of this process, since the call began, whoever has started them."""
        found = []
        for process in psutil.Process().children():
            with suppress(psutil.Error):
                if process.create_time() >= self._begun_at - _CLOCK_S:
                    found.append(process)
        return found
