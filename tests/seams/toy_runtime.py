"""A runtime that this project does not ship: the evaluator in Python that the onnx package has."""

from __future__ import annotations

import os
import signal
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


def _crash(request: SessionRequest) -> Session:
    raise LookupError("no such\nnetwork")


def _be_killed(request: SessionRequest) -> Session:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


TOY = Runtime("onnx-reference", "ONNX reference", ("onnx",), ReferenceSession, short="ref")
TALKATIVE = Runtime("talkative", "Talkative", ("onnx",), TalkativeSession)
BROKEN = Runtime("broken", "Broken Runtime", (), _crash)
KILLED = Runtime("killed", "Killed Runtime", (), _be_killed)
NO_RUNTIME = "a text"
