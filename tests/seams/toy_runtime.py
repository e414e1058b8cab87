"""A runtime that this project does not ship: the evaluator in Python that the onnx package has."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sweep.study.runtimes import Runtime, Session, SessionRequest


class ReferenceSession(Session):
    """`onnx.reference`, which computes with numpy, one operator after the other."""

    def __init__(self, request: SessionRequest) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(str(request.import_dir / "model.onnx"))
        self.version = onnx.__version__

    def run(self, inputs: Mapping[str, Any]) -> list[Any]:
        return list(self._evaluator.run(None, dict(inputs)))


class TalkativeSession(ReferenceSession):
    """Has a clock, conditions and a memory of its own."""

    def clock(self, inputs: Mapping[str, Any], flush: Callable[[], None]) -> Callable[[int, int], list[float]]:
        return lambda number, repeat: [0.25] * repeat

    def conditions(self) -> Mapping[str, Any]:
        return {"runtime_threads": 1, "delegate": "none"}

    def memory_bytes(self) -> int:
        return 12345


_LOADED_BY: list[int] = []
"""The process that has loaded the library of what is loaded once."""


class LoadedOnceSession(ReferenceSession):
    """Tells who has loaded its library; is killed where a file beside the network says so."""

    def __init__(self, request: SessionRequest) -> None:
        if not _LOADED_BY:
            _load()
        if (request.import_dir / "killed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        super().__init__(request)

    def conditions(self) -> Mapping[str, Any]:
        return {"pid": os.getpid(), "parent": os.getppid(), "loaded_by": _LOADED_BY[0]}


def _load() -> None:
    _LOADED_BY.append(os.getpid())


def _load_with_a_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def _do_not_load() -> None:
    raise ImportError("not found")


def _crash(request: SessionRequest) -> Session:
    raise LookupError("no such\nnetwork")


def _be_killed(request: SessionRequest) -> Session:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


TOY = Runtime("onnx-reference", "ONNX reference", ("onnx",), ReferenceSession, short="ref")
TALKATIVE = Runtime("talkative", "Talkative", ("onnx",), TalkativeSession)
BROKEN = Runtime("broken", "Broken Runtime", (), _crash)
KILLED = Runtime("killed", "Killed Runtime", (), _be_killed)
ONCE = Runtime("once", "Loaded Once", ("onnx",), LoadedOnceSession, is_loaded_once=True, warm_up=_load)
THREADED = Runtime("threaded", "Threaded", (), ReferenceSession, is_loaded_once=True, warm_up=_load_with_a_thread)
UNLOADABLE = Runtime("unloadable", "Unloadable", (), ReferenceSession, is_loaded_once=True, warm_up=_do_not_load)
NO_RUNTIME = "a text"
