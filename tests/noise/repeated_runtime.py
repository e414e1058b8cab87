"""ONNX Runtime run so many times a call: networks that take a known share longer than others.

Of a network of microseconds most of that would be this loop, whose speed changes from process to process by 2 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.devices.runtimes.onnxruntime import ONNX_RUNTIME
from sweep.study.runtimes import Runtime, Session, SessionRequest

__all__ = ["PLAIN", "SAME", "SLOWER_3", "SLOWER_10"]

CALLS = 100


class _Repeated(Session):
    def __init__(self, request: SessionRequest, calls: int) -> None:
        self._session, self._calls = ONNX_RUNTIME.open(request), calls
        self.version = self._session.version

    def run(self, inputs: Mapping[str, Any]) -> Sequence[Any]:
        for _ in range(self._calls - 1):
            self._session.run(inputs)
        return self._session.run(inputs)

    def conditions(self) -> Mapping[str, Any]:
        return self._session.conditions()


def _runtime(name: str, calls: int) -> Runtime:
    return Runtime(
        name,
        name,
        ONNX_RUNTIME.distributions,
        lambda request: _Repeated(request, calls),
        environment=ONNX_RUNTIME.environment,
    )


PLAIN, SAME = _runtime("plain", CALLS), _runtime("same", CALLS)
SLOWER_3, SLOWER_10 = _runtime("slower-3", CALLS * 103 // 100), _runtime("slower-10", CALLS * 110 // 100)
