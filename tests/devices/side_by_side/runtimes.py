"""Runtimes for finals side by side: ONNX Runtime, and the same with a fault."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweep.devices.runtimes.onnxruntime import ONNX_RUNTIME
from sweep.study.runtimes import Runtime, Session, SessionRequest

__all__ = ["COUNTED", "DYING", "PLAIN", "STRAYING", "WAITING"]


class _Wrapped(Session):
    def __init__(self, request: SessionRequest) -> None:
        self._session, self._calls = ONNX_RUNTIME.open(request), 0
        self.version = self._session.version

    def run(self, inputs: Mapping[str, Any]) -> Any:
        self._calls += 1
        self.before(self._calls)
        return self._session.run(inputs)

    def before(self, calls: int) -> None:
        pass

    def conditions(self) -> Mapping[str, Any]:
        return self._session.conditions()


class _Straying(_Wrapped):
    """Sets itself free to all cores at each call."""

    def before(self, calls: int) -> None:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


class _Counted(_Wrapped):
    """Leaves the number of its process beside its network."""

    def __init__(self, request: SessionRequest) -> None:
        super().__init__(request)
        with (request.import_dir / "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")


class _Dying(_Wrapped):
    """Is killed once it has run for a while."""

    def before(self, calls: int) -> None:
        if calls == 100:
            os.kill(os.getpid(), signal.SIGKILL)


class _Waiting(_Wrapped):
    """Never comes back once it has run for a while."""

    def before(self, calls: int) -> None:
        if calls == 100:
            threading.Event().wait()


def _runtime(name: str, session: type[_Wrapped]) -> Runtime:
    return replace(ONNX_RUNTIME, name=name, title=name.capitalize(), open=session)


PLAIN = _runtime("plain", _Wrapped)
STRAYING = _runtime("straying", _Straying)
COUNTED = _runtime("counted", _Counted)
DYING = _runtime("dying", _Dying)
WAITING = _runtime("waiting", _Waiting)
