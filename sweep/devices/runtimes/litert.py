"""LiteRT, which was TensorFlow Lite, on the imported network: the baseline of TFLite models."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.study.runtimes import Runtime, Session, SessionRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LITERT"]

_FORMAT = "tflite"


class _LiteRtSession(Session):
    """With XNNPACK, as it is by default, on the device's threads."""

    def __init__(self, request: SessionRequest) -> None:
        import importlib.metadata

        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(request.network(_FORMAT)), num_threads=request.threads)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = [about["index"] for about in self._interpreter.get_output_details()]
        self._threads = request.threads
        self._shapes: list[tuple[int, ...]] = []
        self.version = importlib.metadata.version("ai-edge-litert")

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        self._feed(inputs)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def clock(
        self, inputs: Mapping[str, NDArray[Any]], flush: Callable[[], None]
    ) -> Callable[[int, int], list[float]] | None:
        """The inference alone: inputs lie in the interpreter, as they do in TVM's machine."""
        self._feed(inputs)
        invoke = self._interpreter.invoke

        def timed(number: int, repeat: int) -> list[float]:
            invoke()
            means = []
            for _ in range(repeat):
                flush()
                began = time.perf_counter()
                for _ in range(number):
                    invoke()
                means.append((time.perf_counter() - began) / number)
            return means

        return timed

    def conditions(self) -> Mapping[str, Any]:
        return {"runtime_threads": self._threads}

    def _feed(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Inputs are in the network's order; their names are those of the import, which are unique."""
        shapes = [array.shape for array in inputs.values()]
        if shapes != self._shapes:
            for about, shape in zip(self._inputs, shapes, strict=True):
                if tuple(about["shape"]) != shape:
                    self._interpreter.resize_tensor_input(about["index"], shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for about, array in zip(self._inputs, inputs.values(), strict=True):
            self._interpreter.set_tensor(about["index"], array)


def _warm_up() -> None:
    importlib.import_module("ai_edge_litert.interpreter")


LITERT = Runtime(
    name="litert",
    title="LiteRT",
    distributions=("ai-edge-litert",),
    warm_up=_warm_up,
    open=_LiteRtSession,
    formats=(_FORMAT,),
    extra="tflite",
)
